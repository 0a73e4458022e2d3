"""What goes up a thin link in place of the image: the features of a study's pictures, a byte each.

Self-describing: it says from which very pack they are, since they mean nothing to any other. Names of study and
pictures are the pseudonyms that the image would go under. Nothing else about the patient is in it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store_forward.protocol import Digest

IMAGES_TYPE: Final = "application/zip"
FEATURES_TYPE: Final = "application/vnd.scanside.features+json"
MOST_BYTES: Final = 64 * 1024 * 1024

Uid = Annotated[str, Field(pattern=r"^[0-9.]{1,64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64"
    )


class PictureFeatures(_Part):
    """One picture: its pseudonymous SOP Instance UID and its features, one byte each; base64 on the wire."""

    sop_instance_uid: Uid
    features: Annotated[bytes, Field(max_length=65_536)]


class StudyFeatures(_Part):
    """A study, every picture of which was read by the pack that is named."""

    format: Literal[1] = 1
    pack: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    pack_version: Annotated[str, Field(max_length=100)]
    pack_digest: Digest
    study_instance_uid: Uid
    pictures: Annotated[tuple[PictureFeatures, ...], Field(min_length=1)]


def write_features(study: StudyFeatures) -> bytes:
    """The payload; the same study gives the same bytes."""
    return study.model_dump_json().encode()


def parse_features(payload: bytes) -> StudyFeatures:
    """Read a payload. Raises ValueError when it is none, or of another format."""
    try:
        return StudyFeatures.model_validate_json(payload)
    except ValidationError as error:
        raise ValueError(f"{error.error_count()} errors in the features") from None
