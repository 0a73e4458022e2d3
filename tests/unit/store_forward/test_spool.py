"""The spool keeps bytes under their digest."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from store_forward.errors import SpoolFull
from store_forward.spool import Spool

DATA = b"an image"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool without a floor."""
    return Spool(tmp_path / "spool", 0)


def test_bytes_are_filed_under_their_digest(spool: Spool) -> None:
    """objects/ab/<sha256>, read back whole."""
    stored = spool.keep_bytes(DATA)
    assert (stored.digest, stored.size_bytes) == (DIGEST, len(DATA))
    assert spool.path(DIGEST).relative_to(spool.root).parts == ("objects", DIGEST[:2], DIGEST)
    assert spool.path(DIGEST).read_bytes() == DATA
    assert spool.verify(DIGEST)
    assert spool.holds(DIGEST)


def test_a_finished_file_is_moved_in(spool: Spool) -> None:
    """The temporary name is gone; the digest is computed from what the file holds."""
    temporary = spool.temporary()
    temporary.write_bytes(DATA)
    assert spool.keep(temporary).digest == DIGEST
    assert not temporary.exists()


def test_the_same_bytes_are_kept_once(spool: Spool) -> None:
    """Keeping again changes nothing, and mends an object that was damaged."""
    spool.keep_bytes(DATA)
    spool.path(DIGEST).write_bytes(b"rotten")
    assert not spool.verify(DIGEST)
    spool.keep_bytes(DATA)
    assert spool.verify(DIGEST)
    assert len(list((spool.root / "objects").glob("*/*"))) == 1


def test_a_missing_object_does_not_verify(spool: Spool) -> None:
    """Neither verified nor found for certain."""
    assert not spool.holds(DIGEST)
    assert not spool.verify(DIGEST)
    assert spool.secure(DIGEST) is None


def test_a_found_object_is_made_sure_of(spool: Spool) -> None:
    """What a process left that died before it could account for it; not when it is damaged."""
    stored = spool.keep_bytes(DATA)
    assert spool.secure(DIGEST) == stored
    spool.path(DIGEST).write_bytes(b"rotten")
    assert spool.secure(DIGEST) is None


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_digest_is_a_name(spool: Spool, digest: str) -> None:
    """Nothing else ever becomes part of a path."""
    with pytest.raises(ValueError, match="SHA-256"):
        spool.path(digest)


def test_below_the_floor_nothing_is_written(tmp_path: Path) -> None:
    """SpoolFull comes before the first byte."""
    spool = Spool(tmp_path / "spool", 1 << 62)
    with pytest.raises(SpoolFull) as full:
        spool.temporary()
    with pytest.raises(SpoolFull):
        spool.keep_bytes(DATA)
    assert full.value.floor_bytes == 1 << 62
    assert list((spool.root / "incoming").iterdir()) == []


def test_the_announced_length_counts_against_the_floor(spool: Spool) -> None:
    """A file that would not fit is refused before it is begun."""
    with pytest.raises(SpoolFull):
        spool.temporary(size_bytes=1 << 62)


def test_the_sweep_takes_only_what_is_old(spool: Spool) -> None:
    """Another process's unfinished file stays; at a start, everything goes."""
    old, new = spool.temporary(), spool.temporary()
    os.utime(old, (1000.0, 1000.0))
    os.utime(new, (2000.0, 2000.0))
    spool.keep_bytes(DATA)
    assert spool.sweep_incoming(older_than=1500.0) == 1
    assert (old.exists(), new.exists()) == (False, True)
    assert spool.sweep_incoming() == 1
    assert spool.holds(DIGEST)


def test_the_folders_of_objects_can_be_made_beforehand(spool: Spool) -> None:
    """Then nobody makes one any more, and to make them again changes nothing."""
    spool.make_object_folders()
    folders = sorted(path.name for path in (spool.root / "objects").iterdir())
    assert folders == [f"{number:02x}" for number in range(256)]
    temporary = spool.temporary()
    temporary.write_bytes(b"content")
    spool.keep(temporary)
    spool.make_object_folders()
    assert sorted(path.name for path in (spool.root / "objects").iterdir()) == folders
