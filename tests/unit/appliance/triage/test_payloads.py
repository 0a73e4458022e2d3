"""Everything a decision will send is durable before anything is committed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.privacy.package import site_key
from appliance.triage.payloads import PayloadMaker
from appliance.triage.queue import Claim
from models.decision import Decision, ImageResult, StudyDecision, decide_study
from models.reasons import Reason
from store_forward.errors import SpoolFull
from store_forward.outbox import deliveries
from tests.dicom_factory import as_file, uid
from tests.small_box import NOW, SmallBox, image

ReadingBox = Callable[..., SmallBox]
CLAIM = Claim(uid("study 0"), 1, 1, ())


def maker(box: SmallBox) -> PayloadMaker:
    """The maker a worker of this box would have."""
    return PayloadMaker(box.settings, box.spool, site_key(box.home.site_key_path))


def read(box: SmallBox, *paths: Path) -> list[ImageResult]:
    """What the tiny pack says about each file."""
    worker = box.worker()
    return [worker._read("", path) for path in paths]


def test_payloads_are_durable_and_nothing_is_committed(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The spool has every payload; the outbox is still empty."""
    box = reading_box()
    path = as_file(image("escalate"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert [one.kind for one in made.deliveries] == ["report", "picture", "escalation"]
    assert all(box.spool.verify(one.payload) for one in made.deliveries)
    assert all(one.size_bytes == box.spool.path(one.payload).stat().st_size for one in made.deliveries)
    assert made.escalated
    assert made.outcome.provisional
    assert made.outcome.shown == made.outcome.findings[0]
    assert made.latency_ms == pytest.approx(sum(one.latency_ms.total for one in found))
    assert box.count(deliveries) == 0


def test_the_same_study_gives_the_same_payloads(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Reading again after a crash repeats effects, it does not double them."""
    box = reading_box()
    path = as_file(image("escalate"), tmp_path / "a.dcm")
    found = read(box, path)
    first, second = (maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW) for _ in range(2))
    assert [one.payload for one in first.deliveries] == [one.payload for one in second.deliveries]
    assert [one.key for one in first.deliveries] == [one.key for one in second.deliveries]


def test_the_deciding_image_is_the_one_that_is_shown(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Of two images the urgent one becomes picture and thumbnail."""
    box = reading_box()
    paths = [
        as_file(image("routine"), tmp_path / "a.dcm"),
        as_file(image("urgent", seed="1", StudyInstanceUID=uid("study 0")), tmp_path / "b.dcm"),
    ]
    found = read(box, *paths)
    both = maker(box).prepare(CLAIM, paths, found, decide_study(found), NOW)
    alone = maker(box).prepare(CLAIM, paths[1:], found[1:], decide_study(found[1:]), NOW)
    assert both.outcome.decision is Decision.urgent
    assert both.heat_map == alone.heat_map
    assert len(both.outcome.findings) == 2


def test_a_study_that_may_not_leave_stays_and_says_why(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Burned-in text: no escalation, a note, and the report goes to the archive all the same."""
    box = reading_box()
    path = as_file(image("escalate", BurnedInAnnotation="YES"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert not made.escalated
    assert not made.outcome.provisional
    assert [one.kind for one in made.deliveries] == ["report", "picture"]
    assert len(made.notes) == 1
    assert made.notes[0].startswith("kept on the box: ")
    assert not list(box.incoming.iterdir())


def test_given_up_pixels_are_not_opened_again(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The report is made from the header alone."""
    box = reading_box()
    path = as_file(image(), tmp_path / "a.dcm")
    decision = StudyDecision(Decision.not_triaged, Reason.worker_gave_up, "3 attempts")
    made = maker(box).prepare(CLAIM, [path], [], decision, NOW, with_pixels=False)
    assert (made.heat_map, made.thumbnail, made.latency_ms, made.outcome.shown) == (None, None, None, None)
    (report,) = made.deliveries
    assert dcmread(box.spool.path(report.payload)).StudyInstanceUID == uid("study 0")


def test_a_full_disk_is_raised_and_leaves_nothing_half(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The worker hears of it; no temporary file stays."""
    box = reading_box()
    path = as_file(image("escalate"), tmp_path / "a.dcm")
    found = read(box, path)
    payloads = maker(box)
    box.spool.free_floor_bytes = 1 << 60
    with pytest.raises(SpoolFull):
        payloads.prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert not list(box.incoming.iterdir())


def test_without_room_for_bulk_no_picture_is_made(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The report goes all the same, and the history says what was left out and why."""
    box = reading_box(limits={"free_disk_bulk_bytes": 1 << 60, "free_disk_warn_bytes": 1 << 60})
    path = as_file(image("urgent"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert [one.kind for one in made.deliveries] == ["report"]
    assert made.notes[0].startswith("no picture for the archive: the disk")


def test_a_study_without_images(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Nothing to show and nothing to score; the report says that there was no image."""
    box = reading_box()
    note = image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None, Rows=None, Columns=None)
    path = as_file(note, tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert (made.outcome.decision, made.outcome.reason) == (Decision.not_triaged, Reason.no_images)
    assert made.heat_map is None
    assert [one.kind for one in made.deliveries] == ["report"]
