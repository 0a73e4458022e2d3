"""Unfinished uploads on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store_forward.cloud.uploads import Uploads
from store_forward.protocol import UploadMetadata, upload_id

METADATA = UploadMetadata(sha256="a" * 64, content_type="application/zip", box="box-1", priority=1)


def test_an_upload_is_found_again_after_a_restart(tmp_path: Path) -> None:
    """What the box said and how far it got."""
    begun = Uploads(tmp_path).begin(METADATA, 10)
    begun.append(b"1234")
    begun.append(b"56")
    begun.sync()
    found = Uploads(tmp_path).find(upload_id(METADATA))
    assert found == begun
    assert found.offset == 6
    assert Uploads(tmp_path).begin(METADATA, 10) == begun
    assert Uploads(tmp_path).unfinished() == [begun]


def test_the_same_digest_cannot_have_two_lengths(tmp_path: Path) -> None:
    """One of the two announcements is wrong."""
    Uploads(tmp_path).begin(METADATA, 10)
    with pytest.raises(ValueError, match="two lengths"):
        Uploads(tmp_path).begin(METADATA, 11)


def test_too_much_is_cut_back(tmp_path: Path) -> None:
    """To where it stood."""
    upload = Uploads(tmp_path).begin(METADATA, 10)
    upload.append(b"123456")
    upload.cut_back(4)
    assert (upload.offset, upload.path.read_bytes()) == (4, b"1234")


def test_a_discarded_upload_leaves_nothing(tmp_path: Path) -> None:
    """Also when it is discarded twice, or before any byte."""
    uploads = Uploads(tmp_path)
    upload = uploads.begin(METADATA, 10)
    uploads.discard(upload)
    uploads.discard(upload)
    assert list(tmp_path.iterdir()) == []
    assert (upload.offset, uploads.find(upload.id), uploads.last_touched_at(upload)) == (0, None, 0.0)


@pytest.mark.parametrize("name", ["", "..", "../x", "a" * 63])
def test_only_a_digest_is_a_name(tmp_path: Path, name: str) -> None:
    """Nothing else ever becomes part of a path."""
    assert Uploads(tmp_path).find(name) is None


def test_the_age_is_that_of_the_last_byte(tmp_path: Path) -> None:
    """Or of the announcement when nothing has come yet."""
    uploads = Uploads(tmp_path)
    upload = uploads.begin(METADATA, 10)
    os.utime(tmp_path / f"{upload.id}.json", (100.0, 100.0))
    assert uploads.last_touched_at(upload) == 100.0
    upload.append(b"1")
    os.utime(upload.path, (200.0, 200.0))
    assert uploads.last_touched_at(upload) == 200.0


def test_what_a_power_cut_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    """An announcement that never got its name, and one that cannot be read: both are announced anew."""
    (tmp_path / ".x.json.0.part").write_bytes(b"{")
    (tmp_path / f"{upload_id(METADATA)}.json").write_bytes(b"rotten")
    uploads = Uploads(tmp_path)
    assert uploads.unfinished() == []
    assert [path.name for path in tmp_path.iterdir()] == [f"{upload_id(METADATA)}.json"]
    assert uploads.find(uploads.begin(METADATA, 10).id) is not None
