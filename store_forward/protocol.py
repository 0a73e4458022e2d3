"""What box and cloud say to each other: resumable uploads after tus 1.0, receipts, and one numbered stream down.

The stream carries answers and messages (notices, new thresholds); what became of each message is told back.

The part of tus that is used: creation (POST), offset (HEAD), chunks (PATCH). Two things are added. The
receipt: the answer to the last chunk, or to any later question about the same upload, carries
``Scanside-Receipt``, and that is given only when the bytes are durable, their SHA-256 is checked and the
case is committed. And the refusal: an answer that the box may take as final carries ``Tus-Resumable``, so
that a proxy on the way cannot park a delivery.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

UPLOADS_PATH: Final = "/v1/uploads"
ANSWERS_PATH: Final = "/v1/answers"
OUTCOMES_PATH: Final = "/v1/outcomes"
HEALTH_PATH: Final = "/v1/health"
ENROLMENTS_PATH: Final = "/v1/enrolments"
CERTIFICATES_PATH: Final = "/v1/certificates"

TUS_VERSION: Final = "1.0.0"
TUS_RESUMABLE: Final = "Tus-Resumable"
UPLOAD_LENGTH: Final = "Upload-Length"
UPLOAD_METADATA: Final = "Upload-Metadata"
UPLOAD_OFFSET: Final = "Upload-Offset"
RECEIPT: Final = "Scanside-Receipt"
CHUNK_CONTENT_TYPE: Final = "application/offset+octet-stream"

OFFSET_CONFLICT: Final = 409
TOO_LARGE: Final = 413
UNSUPPORTED_TYPE: Final = 415
BROKEN_OFF: Final = 408
LOCKED: Final = 423
WRONG_DIGEST: Final = 460
"""Checksum mismatch, as in tus: the upload is discarded and starts again from nothing."""
INSUFFICIENT_STORAGE: Final = 507

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BoxId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class UploadMetadata(_Message):
    """What the box says about an upload before it sends any of it. ``priority`` 0 goes first."""

    sha256: Digest
    content_type: Annotated[str, Field(pattern=r"^[a-z]+/[a-z0-9.+-]{1,100}$")]
    box: BoxId
    priority: Annotated[int, Field(ge=0, le=9)]


class Receipt(_Message):
    """The cloud holds these bytes durably.

    ``stored_at`` in seconds since 1970-01-01 UTC, by the cloud's clock.
    """

    digest: Digest
    size_bytes: Annotated[int, Field(ge=0)]
    stored_at: Annotated[float, Field(ge=0)]


class AnswerFinding(_Message):
    """The full model's calibrated probability (0 to 1) that one named finding is present."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    probability: Annotated[float, Field(ge=0, le=1)]


class Verdict(_Message):
    """What the cloud found out about a case. ``reason`` says why when there is no statement by a model.

    ``basis`` is what the answer rests on: the image, read by the full model, or features alone.
    """

    decision: Literal["routine", "urgent", "escalate", "not_triaged"]
    reason: Annotated[str, Field(max_length=100)] | None = None
    detail: Annotated[str, Field(max_length=1000)] = ""
    findings: Annotated[list[AnswerFinding], Field(max_length=1000)] = []
    pack: Annotated[str, Field(max_length=200)] | None = None
    pack_version: Annotated[str, Field(max_length=100)] | None = None
    pack_digest: Digest | None = None
    device: Annotated[str, Field(max_length=200)] | None = None
    basis: Literal["image", "features"] = "image"


class Answer(Verdict):
    """A verdict on its way to one box: ``case`` is the digest of the payload the box sent.

    ``seq`` rises by at least one from answer to answer; a box asks for what comes after the last it has
    taken over.
    """

    seq: Annotated[int, Field(ge=1)]
    case: Digest
    answered_at: Annotated[float, Field(ge=0)]


class Message(_Message):
    """Something else for one box, in the same numbering. What its ``body`` must be depends on ``kind``.

    The box keeps whatever comes and says afterwards what it did with it: one that it does not understand holds up
    no answer behind it.
    """

    seq: Annotated[int, Field(ge=1)]
    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,50}$")]
    sent_at: Annotated[float, Field(ge=0)]
    body: dict[str, Any]


class NoticeBody(_Message):
    """Of a message of the kind ``notice``: words of the cloud's operator, for a person at the box."""

    level: Literal["info", "warning"]
    text: Annotated[str, Field(min_length=1, max_length=1000)]

    @field_validator("text")
    @classmethod
    def _one_line(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("no control characters")
        return text


class ThresholdsBody(_Message):
    """Of a message of the kind ``thresholds``: lines for the pack with this digest, instead of its own."""

    pack_digest: Digest
    routine_below: Annotated[float, Field(ge=0, le=1)]
    urgent_from: Annotated[float, Field(ge=0, le=1)]


class Answers(_Message):
    """The body of a reply to GET /v1/answers; rising ``seq``, that of both lists together without repetition."""

    answers: Annotated[list[Answer], Field(max_length=10_000)]
    messages: Annotated[list[Message], Field(max_length=10_000)] = []

    @property
    def numbers(self) -> list[int]:
        """Every ``seq`` of the two lists, rising; one that is there twice stays there twice."""
        return sorted([*(one.seq for one in self.answers), *(one.seq for one in self.messages)])


class MessageOutcome(StrEnum):
    """What a box did with a message."""

    APPLIED = "applied"
    REFUSED = "refused"
    SHOWN = "shown"
    ACKNOWLEDGED = "acknowledged"


class Outcome(_Message):
    """What became of one message at the box; ``reason`` says why it was refused, ``at`` when, by the box's clock."""

    seq: Annotated[int, Field(ge=1)]
    outcome: MessageOutcome
    reason: Annotated[str, Field(max_length=100)] | None = None
    at: Annotated[float, Field(ge=0)]


class Outcomes(_Message):
    """The body of POST /v1/outcomes. Told again, it changes nothing."""

    box: BoxId
    outcomes: Annotated[list[Outcome], Field(max_length=1000)]


def encode_metadata(metadata: UploadMetadata) -> str:
    """The value of ``Upload-Metadata``: comma-separated ``key base64(value)`` (tus 1.0, Creation)."""
    return ",".join(
        f"{key} {base64.b64encode(str(value).encode()).decode()}" for key, value in metadata.model_dump().items()
    )


def decode_metadata(header: str) -> UploadMetadata:
    """Read ``Upload-Metadata``; keys we do not know are passed over.

    Raises ValueError when it is not as it must be.
    """
    values: dict[str, str | int] = {}
    for part in header.split(","):
        key, _, encoded = part.strip().partition(" ")
        if key in UploadMetadata.model_fields:
            try:
                values[key] = base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{key} in {UPLOAD_METADATA} is not base64 text") from error
    if "priority" in values:
        values["priority"] = int(values["priority"])
    return UploadMetadata.model_validate(values)


def upload_id(metadata: UploadMetadata) -> str:
    """The name of an upload: follows from box and digest, so a box that forgot it gets the same one again."""
    return hashlib.sha256(f"{metadata.box}\n{metadata.sha256}".encode()).hexdigest()


class Enrolment(_Message):
    """A box asks for its first certificate: the one-time code it was given, and a request (PKCS #10, PEM)."""

    box: BoxId
    code: Annotated[str, Field(min_length=1, max_length=100)]
    request: Annotated[str, Field(min_length=1, max_length=10_000)]


class Renewal(_Message):
    """A box that shows its certificate asks for the next one."""

    request: Annotated[str, Field(min_length=1, max_length=10_000)]


class Enrolled(_Message):
    """The certificate (PEM) by which the box is known from now on, until ``expires_at`` (epoch s)."""

    certificate: Annotated[str, Field(max_length=20_000)]
    expires_at: Annotated[float, Field(ge=0)]
