"""What goes over the wire is read back as it was meant, and nothing else is."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from store_forward.protocol import Receipt, UploadMetadata, decode_metadata, encode_metadata, upload_id

METADATA = UploadMetadata(sha256="a" * 64, content_type="application/zip", box="box-1", priority=1)


def test_metadata_comes_back_as_it_was() -> None:
    """Also with keys of somebody else's between."""
    assert decode_metadata(encode_metadata(METADATA)) == METADATA
    assert decode_metadata("filename d29ybGQ=, " + encode_metadata(METADATA)) == METADATA


@pytest.mark.parametrize(
    "header",
    ["", "sha256", "sha256 %%%", "box ww==", encode_metadata(METADATA).replace("MQ==", "bWFueQ=="), "box /w=="],
)
def test_other_metadata_is_refused(header: str) -> None:
    """Missing keys, no base64, no text, no number."""
    with pytest.raises(ValueError, match=r".+"):
        decode_metadata(header)


@pytest.mark.parametrize(
    "wrong",
    [{"sha256": "A" * 64}, {"box": "../x"}, {"priority": 10}, {"priority": -1}, {"content_type": "zip\r\nX: y"}],
)
def test_metadata_has_limits(wrong: dict[str, object]) -> None:
    """A value that could become a path, a header or an endless number is none."""
    with pytest.raises(ValidationError):
        UploadMetadata.model_validate(METADATA.model_dump() | wrong)


def test_an_upload_is_found_again_by_what_it_is() -> None:
    """Same box and bytes, same upload; another box, another upload."""
    assert upload_id(METADATA) == upload_id(METADATA.model_copy(update={"priority": 0}))
    assert upload_id(METADATA) != upload_id(METADATA.model_copy(update={"box": "box-2"}))


@pytest.mark.parametrize("text", ["", "{}", '{"digest":"x","size_bytes":1,"stored_at":1}', "[1]", "null"])
def test_only_a_receipt_is_a_receipt(text: str) -> None:
    """Everything else raises."""
    with pytest.raises(ValidationError):
        Receipt.model_validate_json(text)
