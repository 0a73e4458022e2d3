"""Everything a decision will send is durable before anything is committed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from appliance.privacy.package import site_key
from appliance.triage.documents import NO_PLACE, NO_ROOM
from appliance.triage.payloads import PayloadMaker
from appliance.triage.queue import Claim
from models.decision import Decision, ImageResult, StudyDecision, decide_study
from models.reasons import Reason
from store_forward.errors import SpoolFull
from store_forward.outbox import deliveries
from store_forward.room import Marks
from tests.dicom_factory import as_file, read_back, uid
from tests.small_box import NOW, SmallBox, image
from tests.tiny_pack import write_tiny_pack

ReadingBox = Callable[..., SmallBox]
CLAIM = Claim(uid("study 0"), 1, 1, ())


def maker(box: SmallBox) -> PayloadMaker:
    """The maker a worker of this box would have."""
    return PayloadMaker(box.settings, box.spool, site_key(box.home.site_key_path, box.spool.seal))


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
    assert all(one.size_bytes == box.spool.file(one.payload).stat().st_size for one in made.deliveries)
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


def test_what_the_second_check_finds_stays_and_is_said(reading_box: ReadingBox, tmp_path: Path) -> None:
    """A coded string that is the patient's name: kept by the profile, stopped by the check, shown with its word."""
    box = reading_box(deidentification={"profile": "basic", "options": []})
    path = as_file(image("escalate", PatientName="QUILLABY^A", PatientPosition="QUILLABY"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert not made.escalated
    (note,) = made.notes
    assert "identifier_left" in note and "QUILLABY" not in note
    assert not list(box.incoming.iterdir())


def test_given_up_pixels_are_not_opened_again(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The report is made from the header alone."""
    box = reading_box()
    path = as_file(image(), tmp_path / "a.dcm")
    decision = StudyDecision(Decision.not_triaged, Reason.worker_gave_up, "3 attempts")
    made = maker(box).prepare(CLAIM, [path], [], decision, NOW, with_pixels=False)
    assert (made.heat_map, made.thumbnail, made.latency_ms, made.outcome.shown) == (None, None, None, None)
    (report,) = made.deliveries
    assert read_back(box.spool.file(report.payload)).StudyInstanceUID == uid("study 0")


def test_a_full_disk_is_raised_and_leaves_nothing_half(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The worker hears of it; no temporary file stays."""
    box = reading_box()
    path = as_file(image("escalate"), tmp_path / "a.dcm")
    found = read(box, path)
    payloads = maker(box)
    box.spool.marks = Marks(0, 0, 1 << 60)
    with pytest.raises(SpoolFull):
        payloads.prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert not list(box.incoming.iterdir())


def test_without_room_for_bulk_no_picture_is_made(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The report goes all the same, and the history says what was left out and why."""
    box = reading_box(limits={"free_disk_bulk_bytes": 1 << 60, "free_disk_warn_bytes": 1 << 60})
    path = as_file(image("urgent"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert [one.kind for one in made.deliveries] == ["report", "key_objects"]
    assert made.notes == (NO_ROOM,)


ALL = ["report", "picture", "key_objects", "parametric_map"]


def archive(name: str, *results: str) -> dict[str, Any]:
    """A PACS that gets these kinds."""
    return {"name": name, "host": "127.0.0.1", "port": 104, "ae_title": "ARCHIVE", "results": list(results)}


def test_every_archive_gets_its_kinds(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Each under a key of its own, and what nobody wants is not made."""
    box = reading_box(pacs=[archive("all", *ALL), archive("words", "report"), archive("keys", "key_objects")])
    path = as_file(image("urgent"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    sent = {(one.destination, one.kind) for one in made.deliveries}
    assert sent == {("all", kind) for kind in ALL} | {("words", "report"), ("keys", "key_objects")}
    assert len({one.key for one in made.deliveries}) == len(made.deliveries)
    assert {one.priority for one in made.deliveries} == {0}
    assert len({one.payload for one in made.deliveries}) == len(ALL)
    few = reading_box("few", pacs=[archive("words", "report")])
    maker(few).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert sum(one.name.startswith(made.deliveries[0].payload) for one in few.spool.root.rglob("*")) == 1


def test_only_urgent_images_are_pointed_out(reading_box: ReadingBox, tmp_path: Path) -> None:
    """Not the routine one of the same study, and nothing in a study without any."""
    box = reading_box()
    paths = [
        as_file(image("routine"), tmp_path / "a.dcm"),
        as_file(image("urgent", seed="1", StudyInstanceUID=uid("study 0")), tmp_path / "b.dcm"),
    ]
    found = read(box, *paths)
    made = maker(box).prepare(CLAIM, paths, found, decide_study(found), NOW)
    assert made.outcome.urgent_images == (uid("instance 1"),)
    (selection,) = [one for one in made.deliveries if one.kind == "key_objects"]
    named = read_back(box.spool.file(selection.payload)).to_json()
    assert uid("instance 1") in named and uid("instance 0") not in named
    alone = maker(box).prepare(CLAIM, paths[:1], found[:1], decide_study(found[:1]), NOW)
    assert "key_objects" not in [one.kind for one in alone.deliveries]


def test_a_map_that_cannot_be_placed_is_said(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The header has no spacing; the other results go."""
    box = reading_box(pacs=[archive("all", *ALL)])
    path = as_file(image("escalate", PixelSpacing=None, ImagerPixelSpacing=None), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert [one.kind for one in made.deliveries] == ["report", "picture", "escalation"]
    assert made.notes == (NO_PLACE,)


def test_an_unproven_heat_map_is_drawn_nowhere(reading_box: ReadingBox, tmp_path: Path) -> None:
    """The picture goes without colours; there is no map as numbers, and nothing names a finding that was drawn."""
    write_tiny_pack(tmp_path / "unproven" / "tiny", heat_map_proven=False)
    box = reading_box(triage={"packs": tmp_path / "unproven"}, pacs=[archive("all", *ALL)])
    path = as_file(image("urgent"), tmp_path / "a.dcm")
    found = read(box, path)
    made = maker(box).prepare(CLAIM, [path], found, decide_study(found), NOW)
    assert {one.kind for one in made.deliveries} == {"report", "picture", "key_objects"}
    assert (made.outcome.shown, found[0].heat_map) == (None, None)
    (capture,) = [one for one in made.deliveries if one.kind == "picture"]
    pixels = read_back(box.spool.file(capture.payload)).pixel_array
    inside = pixels[40:100, 210:300]
    assert np.array_equal(inside[..., 0], inside[..., 2])
    assert made.heat_map is not None
    page = cv2.imdecode(np.frombuffer(box.spool.file(made.heat_map).read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert page is not None and not np.ptp(page.astype(int), axis=2).any()


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
