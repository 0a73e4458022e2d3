"""No room: the sender is told to come back, what was acknowledged stays, and it recovers by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import OutOfResources
from appliance.ingest.watched_folder import WatchedFolder
from appliance.schema import instances, studies
from store_forward.database import writing
from store_forward.room import Marks
from tests.bad_input.doors import decide, goes_on, kept
from tests.dicom_factory import as_bytes, as_file, uid
from tests.full_disk import FILE_LIMIT_BYTES, large_radiograph, no_file_may_grow
from tests.listening_box import Listen, wait_until
from tests.small_box import NOW, MakeBox, SmallBox, image


def test_under_the_floor_the_sender_is_asked_to_come_back(box: SmallBox, listen: Listen) -> None:
    """0xA700 with words, nothing kept; with room again the same receiver takes the same image."""
    scanner = listen(box)
    assert scanner.send(image(seed="before"))[0].Status == 0x0000
    box.spool.marks = Marks(0, 0, 1 << 60)
    (answer,) = scanner.send(image())
    assert answer.Status == 0xA700
    assert answer.ErrorComment.startswith("disk nearly full, send again later")
    assert box.count(instances) == 1
    assert not list(box.incoming.iterdir())
    kept(box, as_bytes(image(seed="before")))
    box.spool.marks = Marks(0, 0, 0)
    assert scanner.send(image())[0].Status == 0x0000
    assert box.count(instances) == 2


def test_under_the_floor_what_was_acknowledged_is_still_read(make_box: MakeBox) -> None:
    """Between the floor and half of it reception stops and triage goes on."""
    box = make_box()
    free = box.spool.free_bytes()
    study = box.receive(image())
    tight = make_box(limits={"free_disk_floor_bytes": round(free * 1.5)})
    with pytest.raises(OutOfResources, match="send again later"):
        tight.admit(image(seed="1"))
    assert decide(tight, study).decision == "urgent"


def test_a_write_that_fails_during_reception(box: SmallBox, listen: Listen) -> None:
    """The disk says no in the middle of an instance: 0xA700 on an association that lives on, and nothing is kept."""
    large, small = large_radiograph(), image(seed="small")
    assert len(large.PixelData) > FILE_LIMIT_BYTES > len(small.PixelData)
    scanner = listen(box)
    with no_file_may_grow():
        answers = scanner.send(large, small, large)
        assert [answer.Status for answer in answers] == [0xA700, 0x0000, 0xA700]
        assert answers[0].ErrorComment == "the spool cannot be written: File too large"
        wait_until(lambda: not list(box.incoming.iterdir()), "the parts to be removed")
    assert box.count(instances) == 1
    assert scanner.send(large)[0].Status == 0x0000
    kept(box, as_bytes(large))


def test_a_file_that_cannot_be_made_for_an_instance(box: SmallBox, listen: Listen) -> None:
    """No file for an instance at all: 0xA700 too, and the next one is taken over the same association."""
    scanner = listen(box)
    first, second = image(seed="first"), image(seed="second")
    association = scanner.open(first, second)
    moved = box.incoming.rename(box.incoming.with_name("elsewhere"))
    assert association.send_c_store(first).Status == 0xA700
    moved.rename(box.incoming)
    assert association.send_c_store(second).Status == 0x0000
    association.release()
    assert box.count(instances) == 1


def test_a_write_that_fails_from_the_folder(box: SmallBox, folder: Path) -> None:
    """The file stays where it is, whole, and is taken at the next look."""
    path = as_file(large_radiograph(), folder / "a.dcm")
    watched = WatchedFolder(folder, 0.0, box.admission, box.spool)
    with no_file_may_grow():
        assert watched.scan(NOW) == 0
    assert path.read_bytes() == as_bytes(large_radiograph())
    assert box.count(studies) == 0
    assert not list(box.incoming.iterdir())
    assert watched.scan(NOW + 1) == 1
    assert box.study(uid("study 0")).instance_count == 1


def test_a_database_that_cannot_grow(box: SmallBox) -> None:
    """The bytes are on disk and the row is not: that is no success, and the resend makes it one."""
    with writing(box.engine) as connection:
        connection.exec_driver_sql("CREATE TABLE filler (x BLOB)")
    with no_file_may_grow(60_000), pytest.raises(OutOfResources) as refused:
        for number in range(200):
            box.admit(image(seed=f"filler {number}"))
    assert refused.value.dicom_status == 0xA700
    acknowledged = box.count(instances)
    box.admit(image())
    assert box.count(instances) == acknowledged + 1
    assert all(box.spool.verify(row.file_digest) for row in box.rows(instances))
    goes_on(box)
