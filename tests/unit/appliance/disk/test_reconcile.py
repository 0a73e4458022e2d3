"""A file that is missing, cut, changed or nobody's: it is told, put right as far as can be, and the rest goes on."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from appliance.disk import reconcile
from appliance.disk.quarantine import Trouble
from appliance.disk.reconcile import (
    Found,
    look_at_rows,
    look_for_left_overs,
    look_for_orphans,
    needed_files,
    repair,
)
from appliance.disk.tables import deletions, quarantined
from appliance.disk.upkeep import Upkeep
from appliance.ingest.admit import Admitted
from appliance.schema import StudyState, instances, studies, study_events
from appliance.web.study import study_view
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest, deliveries
from tests.dicom_factory import uid
from tests.small_box import NOW, SmallBox, image

STUDY = uid("study 0")


def flip(path: Path) -> None:
    """One bit changes; the length stays."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """The end is gone."""
    path.write_bytes(path.read_bytes()[:-10])


HARMS: list[tuple[Callable[[Path], None], Trouble]] = [
    (Path.unlink, Trouble.MISSING), (cut, Trouble.TRUNCATED), (flip, Trouble.DAMAGED),
]  # fmt: skip


def look(box: SmallBox, rehash: bool = True) -> list[Found]:
    """What is wrong with the files that rows need."""
    return list(look_at_rows(box.home, needed_files(box.engine), rehash=rehash))


def put_right(box: SmallBox, now: float = NOW) -> int:
    """Repair all of it."""
    return sum(repair(box.home, one, now) for one in look(box))


def in_quarantine(box: SmallBox) -> dict[str, str]:
    """The reason for each file there."""
    notes = [json.loads(path.read_text()) for path in (box.home.folder / "quarantine").glob("*.reason.json")]
    return {note["file"]: note["reason"] for note in notes}


@pytest.fixture
def two(box: SmallBox) -> SmallBox:
    """A box with two studies of one image each; the first is the one that comes to harm."""
    box.receive(image())
    box.receive(image(seed="1"))
    return box


def first(box: SmallBox) -> Path:
    """The file of the first image."""
    return box.spool.path(box.rows(instances)[0].file_digest)


@pytest.mark.parametrize(("harm", "trouble"), HARMS, ids=[trouble.value for _, trouble in HARMS])
def test_an_image_that_came_to_harm(two: SmallBox, harm: Callable[[Path], None], trouble: Trouble) -> None:
    """Named with its study, out of the way with its reason, said on the page; the other study is untouched."""
    assert look(two) == []
    path = first(two)
    harm(path)
    (found,) = look(two)
    assert (found.trouble, found.digest) == (trouble, path.name)
    assert put_right(two) == 1
    assert look(two) == []
    assert not path.exists()
    assert in_quarantine(two) == ({} if trouble is Trouble.MISSING else {path.name: trouble.value})
    assert [(row.digest, row.reason) for row in two.rows(quarantined)] == [(path.name, trouble.value)]
    assert [row.kind for row in two.rows(study_events)].count("quarantined") == 1
    with reading(two.engine) as connection:
        marked, other = study_view(connection, STUDY, True), study_view(connection, uid("study 1"), True)
    assert marked is not None
    assert other is not None
    assert [one.sop_instance_uid for one in marked.lost] == [uid("instance 0")]
    assert "send it again" in marked.lost[0].meaning
    assert other.lost == ()


@pytest.mark.parametrize(("harm", "trouble"), HARMS[:2], ids=["missing", "truncated"])
def test_a_start_finds_it_without_reading(two: SmallBox, harm: Callable[[Path], None], trouble: Trouble) -> None:
    """Presence and length cost no reading, so they are looked at each time."""
    harm(first(two))
    Upkeep(two.home, two.settings).run(threading.Event())
    assert [row.reason for row in two.rows(quarantined)] == [trouble.value]


def test_every_page_of_rows_is_looked_at(two: SmallBox, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are read at once."""
    monkeypatch.setattr(reconcile, "_PAGE_ROWS", 1)
    two.receive(image(seed="2"))
    for row in two.rows(instances):
        two.spool.path(row.file_digest).unlink()
    assert len(look(two)) == 3


def test_looking_changes_nothing(two: SmallBox) -> None:
    """Without repair."""
    cut(first(two))
    before = first(two).read_bytes()
    look(two)
    assert first(two).read_bytes() == before
    assert two.rows(quarantined) == []


def test_the_same_image_again_mends_it(two: SmallBox) -> None:
    """It is kept, the mark is gone, and the study is read again, for it may have been read without it."""
    flip(first(two))
    put_right(two)
    with writing(two.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.SETTLED, settled_at=NOW))
    assert two.admit(image(), now=NOW + 5)[0] is Admitted.ALREADY_HELD
    assert two.spool.verify(first(two).name)
    study = two.study(STUDY)
    assert (study.state, study.revision, study.instance_count) == (StudyState.RECEIVING, 2, 1)
    assert two.rows(quarantined)[0].mended_at == NOW + 5
    assert look(two) == []
    two.admit(image(), now=NOW + 6)
    assert two.study(STUDY).revision == 2


def test_a_resend_before_the_repair_mends_it_too(two: SmallBox) -> None:
    """What was found is no longer so; nothing is moved away."""
    cut(first(two))
    (found,) = look(two)
    two.admit(image())
    assert not repair(two.home, found, NOW)
    assert two.spool.verify(first(two).name)


def test_a_result_still_to_be_sent_is_made_anew(two: SmallBox) -> None:
    """Its delivery is parked with a cause, the study goes back to be read as a new revision."""
    kept = two.spool.keep_bytes(b"report")
    with writing(two.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.DECIDED))
        request = DeliveryRequest("k", STUDY, 1, "report", "archive", 2, kept.digest, 6, "application/dicom")
        outbox.enqueue(connection, request, NOW)
    two.spool.path(kept.digest).write_bytes(b"repo")
    assert put_right(two) == 1
    (row,) = two.rows(deliveries)
    assert (row.state, row.cause) == ("parked", "spool_object_damaged")
    assert (two.study(STUDY).state, two.study(STUDY).revision) == (StudyState.COMPLETE, 2)
    assert two.study(uid("study 1")).revision == 1
    assert in_quarantine(two) == {kept.digest: "truncated"}


def test_what_retention_deleted_is_not_missing(two: SmallBox) -> None:
    """It is gone because it was to go."""
    with writing(two.engine) as connection:
        row = {"study_instance_uid": STUDY, "revision": 1, "state": "removed", "began_at": NOW}
        connection.execute(deletions.insert().values(**row))
    first(two).unlink()
    assert look(two) == []


def test_an_object_without_a_row(two: SmallBox) -> None:
    """Moved after an hour, with its reason, and not before: its row may be on its way."""
    kept = two.spool.keep_bytes(b"never acknowledged")
    now = time.time()
    assert look_for_orphans(two.home, now) == []
    os.utime(two.spool.path(kept.digest), (now - 3700.0, now - 3700.0))
    found = look_for_orphans(two.home, now)
    assert [(one.trouble, one.digest) for one in found] == [(Trouble.NO_ROW, kept.digest)]
    assert repair(two.home, found[0], now)
    assert in_quarantine(two) == {kept.digest: "no_row"}
    assert not two.spool.holds(kept.digest)
    assert not repair(two.home, found[0], now)
    assert look(two) == []


def test_an_object_that_gets_its_row_meanwhile_stays(two: SmallBox) -> None:
    """Looked at again under the lock."""
    path = first(two)
    os.utime(path, (1.0, 1.0))
    assert not repair(two.home, Found(Trouble.NO_ROW, path.name), NOW)
    assert path.exists()


def test_files_of_broken_transfers(two: SmallBox) -> None:
    """Those that nobody has written to for an hour."""
    old, new = two.spool.temporary(), two.spool.temporary()
    now = time.time()
    os.utime(old, (now - 3700.0, now - 3700.0))
    assert look_for_left_overs(two.home, now) == [old]
    assert new.exists()
