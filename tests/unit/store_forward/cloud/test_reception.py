"""From the first byte to the receipt, and what a power cut between any two steps leaves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store_forward.cloud.errors import UploadRefused
from store_forward.cloud.reception import Reception
from store_forward.cloud.settings import CloudSettings
from store_forward.cloud.uploads import Upload
from store_forward.protocol import Receipt, UploadMetadata, upload_id
from store_forward.room import Room
from tests.unit.store_forward.running_cloud import settings_at

DATA = b"0123456789" * 100
DIGEST = hashlib.sha256(DATA).hexdigest()
METADATA = UploadMetadata(sha256=DIGEST, content_type="application/zip", box="box-1", priority=1)
NAME = upload_id(METADATA)


@pytest.fixture
def settings(tmp_path: Path) -> CloudSettings:
    """A fresh home with room for two uploads."""
    return settings_at(tmp_path / "cloud", max_uploads=2)


@pytest.fixture
def reception(settings: CloudSettings) -> Iterator[Reception]:
    """An endpoint's disk and database."""
    opened = Reception(settings)
    yield opened
    opened.close()


def begun(reception: Reception, metadata: UploadMetadata = METADATA) -> Upload:
    """An upload of DATA's length that has just been announced."""
    upload = reception.create(metadata, len(DATA), 1.0)
    assert isinstance(upload, Upload)
    return upload


def test_the_receipt_comes_with_the_last_byte(reception: Reception, settings: CloudSettings) -> None:
    """Not before; then it is given to whoever asks, and the upload's own files are gone."""
    upload = begun(reception)
    reception.append(upload, DATA[:400])
    assert reception.settle(upload, 2.0) is None
    reception.append(upload, DATA[400:])
    receipt = reception.settle(upload, 3.0)
    assert receipt == Receipt(digest=DIGEST, size_bytes=len(DATA), stored_at=3.0)
    assert reception.look(NAME, 4.0) == receipt == reception.create(METADATA, len(DATA), 5.0)
    assert list(settings.uploads.iterdir()) == []
    assert reception.counts()["stored"] == 1


def test_a_power_cut_before_the_rename_loses_nothing(reception: Reception, settings: CloudSettings) -> None:
    """All bytes are there but nobody has checked them: an empty last chunk finishes it."""
    upload = begun(reception)
    reception.append(upload, DATA)
    after = Reception(settings)
    found = after.look(NAME, 2.0)
    assert isinstance(found, Upload)
    assert found.offset == len(DATA)
    assert after.settle(found, 3.0) is not None
    after.close()


def test_a_power_cut_between_rename_and_commit_loses_nothing(reception: Reception, settings: CloudSettings) -> None:
    """The object is in the spool and no case knows it: the next question gets the receipt, no byte is sent again."""
    upload = begun(reception)
    reception.append(upload, DATA)
    (settings.spool / "objects" / DIGEST[:2]).mkdir(parents=True)
    upload.path.rename(settings.spool / "objects" / DIGEST[:2] / DIGEST)
    after = Reception(settings)
    assert isinstance(after.look(NAME, 9.0), Receipt)
    assert after.counts() == {"receiving": 0, "stored": 1, "analysing": 0, "answered": 0}
    assert list(settings.uploads.iterdir()) == []
    after.close()


def test_wrong_bytes_are_discarded(reception: Reception) -> None:
    """460, and the next attempt starts from nothing."""
    upload = begun(reception)
    reception.append(upload, bytes(len(DATA)))
    with pytest.raises(UploadRefused) as told:
        reception.settle(upload, 2.0)
    assert told.value.status == 460
    assert sum(reception.counts().values()) == 0
    assert begun(reception).offset == 0


def test_two_boxes_send_the_same_bytes(reception: Reception) -> None:
    """At the same time, each its own upload; the second to finish finds the case and gets the same receipt."""
    first, second = begun(reception), begun(reception, METADATA.model_copy(update={"box": "box-2"}))
    for upload in (first, second):
        reception.append(upload, DATA)
    assert reception.settle(first, 2.0) == reception.settle(second, 3.0)


@pytest.mark.parametrize(
    ("changes", "size_bytes", "status"),
    [({"content_type": "text/html"}, 10, 415), ({}, 1 << 40, 413), ({"sha256": "b" * 64}, 10, None)],
)
def test_what_is_never_taken_is_told_before_the_first_byte(
    reception: Reception, changes: dict[str, str], size_bytes: int, status: int | None
) -> None:
    """Another type, too large; and the counterpart that is taken."""
    metadata = METADATA.model_copy(update=changes)
    if status is None:
        assert isinstance(reception.create(metadata, size_bytes, 1.0), Upload)
        return
    with pytest.raises(UploadRefused) as told:
        reception.create(metadata, size_bytes, 1.0)
    assert told.value.status == status


def test_the_number_of_unfinished_uploads_is_limited(reception: Reception) -> None:
    """The third has to come again; the two that are under way go on."""
    boxes = [METADATA.model_copy(update={"box": box}) for box in ("box-1", "box-2", "box-3")]
    for metadata in boxes[:2]:
        begun(reception, metadata)
    with pytest.raises(UploadRefused) as told:
        begun(reception, boxes[2])
    assert (told.value.status, told.value.retry_after_s) == (503, 60)
    begun(reception, boxes[0])


def test_one_digest_has_one_length(reception: Reception) -> None:
    """While it is under way and after."""
    upload = begun(reception)
    for _ in range(2):
        with pytest.raises(UploadRefused, match="two lengths"):
            reception.create(METADATA, 5, 1.0)
        if upload.offset == 0:
            reception.append(upload, DATA)
            reception.settle(upload, 2.0)


def test_stale_uploads_are_found_and_removed(reception: Reception, settings: CloudSettings) -> None:
    """Idle longer than the limit; one that still moves stays."""
    old, new = begun(reception), begun(reception, METADATA.model_copy(update={"box": "box-2", "sha256": "b" * 64}))
    now = 10_000_000.0
    for upload, age_s in ((old, settings.upload_age_s + 1), (new, settings.upload_age_s - 1)):
        reception.append(upload, b"1")
        os.utime(upload.path, (now - age_s, now - age_s))
    assert reception.stale(now) == [old.id]
    reception.remove(old.id)
    reception.remove(old.id)
    assert reception.counts()["receiving"] == 1
    assert isinstance(reception.look(new.id, now), Upload)


def test_a_case_whose_upload_is_lost_is_forgotten(reception: Reception, settings: CloudSettings) -> None:
    """A power cut fell between removing the one and the other."""
    begun(reception)
    reception.forget_lost()
    assert reception.counts()["receiving"] == 1
    for path in settings.uploads.iterdir():
        path.unlink()
    reception.forget_lost()
    assert reception.counts()["receiving"] == 0


def test_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    """507, with a pause, before the first byte."""
    reception = Reception(settings_at(tmp_path, free_floor_bytes=1 << 60))
    with pytest.raises(UploadRefused) as told:
        reception.create(METADATA, len(DATA), 1.0)
    assert (told.value.status, told.value.retry_after_s) == (507, 60)
    reception.close()


def test_below_its_mark_no_bulk_upload_is_begun(tmp_path: Path) -> None:
    """It waits at the box with 507; an escalation still comes in, and the level can be asked for."""
    reception = Reception(settings_at(tmp_path, free_bulk_bytes=1 << 60))
    bulk = METADATA.model_copy(update={"priority": 3})
    with pytest.raises(UploadRefused) as refused:
        reception.create(bulk, len(DATA), 1.0)
    assert (refused.value.status, refused.value.retry_after_s) == (507, 60)
    assert begun(reception).offset == 0
    assert reception.room() is Room.NO_BULK
    reception.close()
