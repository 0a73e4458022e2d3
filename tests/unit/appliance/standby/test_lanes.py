"""A lane and its gate, and documents that two boxes make of the same images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from appliance.results.outcome import StudyOutcome
from appliance.results.picture import picture_uid
from appliance.results.report import report_uid
from appliance.standby.gate import Gate
from appliance.triage.queue import Claim
from models.decision import Decision
from store_forward.errors import DeliveryDeferred
from store_forward.outbox import Delivery, deliveries
from tests.small_box import SmallBox
from tests.unit.appliance.couriers import Courier, enqueue, going_on, lane


class _Upload(Courier):
    """In the middle of what it carries the gate of its lane is shut; then it asks whether to go on, as uploads do."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        self._gate.shut()
        assert not self._gate.is_still()
        if stop():
            raise DeliveryDeferred("stopped", "the box is shutting down")
        return "receipt"


def test_a_lane_takes_nothing_up_while_its_gate_is_shut(box: SmallBox) -> None:
    """Not an attempt is counted; once it is open, all goes as ever."""
    enqueue(box, "report")
    held = lane(box, Courier())
    held.gate.shut()
    assert not held.step(going_on)
    assert box.rows(deliveries)[0].attempts == 0
    held.gate.open()
    assert held.step(going_on)


def test_an_upload_ends_between_two_chunks_when_the_gate_is_shut(box: SmallBox) -> None:
    """It has not failed: due in its old place, with the reason, and the gate is still then."""
    enqueue(box, "escalation", destination="cloud")
    gate = Gate()
    carried = lane(box, _Upload(gate), "cloud")
    carried.gate = gate
    assert carried.step(going_on)
    row = box.rows(deliveries)[0]
    assert (row.state, row.cause, row.failures) == ("waiting", "held_for_other_box", 0)
    assert gate.is_still()


def test_the_same_images_make_the_same_uids_whatever_the_revision() -> None:
    """One box got all at once, the other was reopened by a late image: at a PACS it is one report and one picture."""
    one = StudyOutcome("1.2", 1, Decision.routine, 0.0, images_digest=_claim(1, "1", "2").images_digest)
    other = replace(one, revision=2, decided_at=9.0, images_digest=_claim(2, "2", "1").images_digest)
    fewer = replace(one, images_digest=_claim(1, "1").images_digest)
    assert report_uid(one) == report_uid(other) != report_uid(fewer)
    assert picture_uid(one) == picture_uid(other) != picture_uid(fewer)


def _claim(revision: int, *uids: str) -> Claim:
    return Claim("1.2", revision, 1, tuple((uid, f"file of {uid} here") for uid in uids))
