"""The site's rules from a received image to what goes out, with a real pack, database and spool."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import update

from appliance.schema import StudyState, instances, studies, study_events
from models.decision import Decision
from store_forward.database import writing
from store_forward.outbox import deliveries
from tests.dicom_factory import uid
from tests.small_box import NOW, SmallBox, image

ReadingBox = Callable[..., SmallBox]
ARCHIVES = [{"name": name, "host": "127.0.0.1", "port": 104, "ae_title": name.upper()} for name in ("main", "er")]
WEBHOOK = {"name": "desk", "url": "http://127.0.0.1:9", "secret_variable": "DESK"}


def rule(does: str = "exclude", **more: Any) -> dict[str, Any]:
    """A rule on the second image of these tests."""
    return {"name": "second", "match": {"InstanceNumber": 2}, "triage": does, **more}


def read_all(box: SmallBox, now: float = NOW) -> None:
    """Start a worker and let it work until nothing is left."""
    started = box.worker()
    while started.step(now):
        pass


def words(box: SmallBox, kind: str) -> list[str]:
    """The details of one kind of event."""
    return [row.detail for row in box.rows(study_events) if row.kind == kind]


def second(says: Any = "urgent", **overrides: Any) -> Any:
    """A further image of study 0, with InstanceNumber 2."""
    return image(says, seed="1", StudyInstanceUID=uid("study 0"), InstanceNumber=2, **overrides)


def test_an_excluded_study_is_not_triaged_and_says_why(reading_box: ReadingBox) -> None:
    """Not read, never routine, with the reason in the report to the archive and the rule's name in the history."""
    box = reading_box(rule=[rule(match={"PatientID": "P-*"})])
    study = box.receive(image("urgent"))
    read_all(box)
    row = box.study(study)
    assert (row.decision, row.reason, row.detail) == ("not_triaged", "excluded_by_rule", "rule second")
    assert (row.pack, row.abnormality, row.escalated) == (None, None, False)
    assert words(box, "ruled") == ["second: exclude (1 of 1 instances)"]
    assert {one.kind for one in box.rows(deliveries)} == {"report"}


def test_an_excluded_image_does_not_count(reading_box: ReadingBox) -> None:
    """The others decide; the result says that something was left out, and by which rule."""
    box = reading_box(rule=[rule()])
    study = box.receive(image("routine"), second("urgent"))
    read_all(box)
    row = box.study(study)
    assert (row.decision, row.detail) == ("routine", "1 of 2 instances left out: rule second")
    left_out = {one.sop_instance_uid: one.left_out_by for one in box.rows(instances)}
    assert left_out == {uid("instance 0"): None, uid("instance 1"): "second"}


def test_what_could_not_be_read_still_escalates(reading_box: ReadingBox) -> None:
    """A rule takes away what it names, and hides nothing else."""
    box = reading_box(rule=[rule()])
    blank = image("routine", seed="2", StudyInstanceUID=uid("study 0"))
    blank.PixelData = b"\0" * len(blank.PixelData)
    study = box.receive(image("routine"), second(), blank)
    read_all(box)
    row = box.study(study)
    assert (row.decision, row.reason) == ("escalate", "partly_covered")
    assert row.detail == "1 of 2 images not read: blank_image; 1 of 3 instances left out: rule second"


def test_an_excluded_image_does_not_go_to_the_cloud(reading_box: ReadingBox) -> None:
    """The full model does not read either what a rule leaves out, and its answer is about the whole of the rest."""
    box = reading_box(rule=[rule()])
    box.receive(image("escalate"), second())
    read_all(box)
    escalation = next(one for one in box.rows(deliveries) if one.kind == "escalation")
    with ZipFile(BytesIO(box.spool.file(escalation.payload).read_bytes())) as archive:
        assert len(archive.namelist()) == 1
    assert escalation.attributes["left_out"] == 0


def test_of_a_phantom_nothing_goes_out(reading_box: ReadingBox) -> None:
    """No report, no event, no question to the cloud; it is settled at once and stays in the list with its reason."""
    box = reading_box(rule=[rule("phantom", match={"PatientID": "P-*"})], webhook=[WEBHOOK])
    study = box.receive(image("escalate"))
    read_all(box)
    row = box.study(study)
    assert (row.state, row.decision, row.reason) == (StudyState.SETTLED, "not_triaged", "phantom")
    assert box.count(deliveries) == 0
    assert words(box, "ruled") == ["second: phantom (1 of 1 instances)"]


def test_a_phantom_among_patients_is_only_left_out(reading_box: ReadingBox) -> None:
    """A rule that matches one image by mistake does not silence the study."""
    box = reading_box(rule=[rule("phantom")])
    study = box.receive(image("urgent"), second())
    read_all(box)
    assert box.study(study).decision == Decision.urgent
    assert "report" in {one.kind for one in box.rows(deliveries)}


@pytest.mark.parametrize(("send_to", "to"), [(["er"], {"er"}), (["er", "main"], {"er", "main"}), ([], set())])
def test_results_go_where_a_rule_says(reading_box: ReadingBox, send_to: list[str], to: set[str]) -> None:
    """To the archives it names; nothing is made that nobody gets."""
    route = {"name": "route", "match": {"Modality": "DX"}, "send_to": send_to}
    box = reading_box(pacs=ARCHIVES, rule=[route])
    study = box.receive(image("urgent"))
    read_all(box)
    assert {one.destination for one in box.rows(deliveries)} == to
    assert box.study(study).send_to == send_to
    assert words(box, "ruled") == [f"route: send to {', '.join(send_to) or 'no archive'}"]
    kept = sum(1 for one in (box.spool.root / "objects").rglob("*") if one.is_file())
    # the image, its picture for the page and the heat map alone; report, capture and key objects
    assert kept == 3 + (3 if to else 0)


@pytest.mark.parametrize(
    ("priority", "says", "priorities"),
    [("urgent", "routine", {0}), ("bulk", "routine", {3}), ("bulk", "urgent", {0})],
)
def test_a_rule_sets_the_priority(reading_box: ReadingBox, priority: str, says: Any, priorities: set[int]) -> None:
    """Of all that goes out; what looks urgent by itself never waits for a rule."""
    box = reading_box(rule=[{"name": "ward", "match": {"Modality": "DX"}, "priority": priority}])
    study = box.receive(image(says))
    read_all(box)
    assert {one.priority for one in box.rows(deliveries)} == priorities
    assert box.study(study).send_priority == priority


def test_a_study_that_is_given_up_keeps_its_route(reading_box: ReadingBox) -> None:
    """Its report, too, goes only where the rules say."""
    box = reading_box(pacs=ARCHIVES, rule=[{"name": "route", "match": {"Modality": "DX"}, "send_to": ["er"]}])
    study = box.receive(image("urgent"))
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(triage_attempts=3))
    read_all(box)
    assert box.study(study).reason == "worker_gave_up"
    assert {one.destination for one in box.rows(deliveries)} == {"er"}


def test_a_late_image_is_ruled_on_anew(reading_box: ReadingBox) -> None:
    """What the rules said of the earlier revision no longer counts."""
    box = reading_box(rule=[rule(match={"InstanceNumber": 1})])
    study = box.receive(image("urgent"))
    read_all(box)
    assert box.study(study).reason == "excluded_by_rule"
    box.receive(second("urgent"), now=NOW + 60)
    read_all(box, NOW + 120)
    assert box.study(study).decision == "urgent"
    assert words(box, "ruled")[-1] == "second: exclude (1 of 2 instances)"


def test_a_file_that_is_not_dicom_any_more_meets_no_rule(reading_box: ReadingBox) -> None:
    """Its own reason stands; a rule on everything does not cover it up."""
    box = reading_box(rule=[rule(match={"SOPInstanceUID": "*"})])
    study = box.receive(image("urgent"))
    (path,) = [one for one in (box.spool.root / "objects").rglob("*") if one.is_file()]
    with box.spool.content(path).open("wb") as file:
        file.write(b"\0" * 200)
    read_all(box)
    assert box.study(study).reason == "not_dicom"


def test_a_rule_asks_who_sent_each_image(reading_box: ReadingBox) -> None:
    """One image of the study from the scanner, one from elsewhere."""
    box = reading_box(rule=[{"name": "elsewhere", "senders": ["PACS*"], "triage": "exclude"}])
    box.admit(second(), source="PACS1")
    study = box.receive(image("routine"))
    read_all(box)
    assert box.study(study).detail == "1 of 2 instances left out: rule elsewhere"
    left_out = {one.source: one.left_out_by for one in box.rows(instances)}
    assert left_out == {"PACS1": "elsewhere", "SCANNER": None}
