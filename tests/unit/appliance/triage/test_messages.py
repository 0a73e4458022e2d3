"""New lines are taken over only where they settle no more than the pack's own; every verdict is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update

from appliance.schema import lines, messages
from appliance.triage import messages as applying
from appliance.triage.worker import TriageWorker
from models.decision import Thresholds, settles_no_more
from store_forward.database import writing
from store_forward.outbox import deliveries
from tests.dicom_factory import read_back
from tests.small_box import NOW, SmallBox, image

ReadingBox = Callable[..., SmallBox]
LINES = {"pack_digest": "f" * 64, "routine_below": 0.0, "urgent_from": 1.0}


class Listening:
    """A box with a worker, and a cloud that sends what a test says."""

    def __init__(self, box: SmallBox) -> None:
        self.box = box
        self.worker: TriageWorker = box.worker()
        assert self.worker._readers is not None
        (self.pack,) = self.worker._readers.packs_in_use.values()
        self.own: Thresholds = self.pack.manifest.thresholds

    def comes_down(self, seq: int, kind: str, body: dict[str, Any]) -> None:
        """A message as the uplink stores it."""
        row = {"seq": seq, "kind": kind, "body": body, "sent_at": NOW, "received_at": NOW}
        with writing(self.box.engine) as connection:
            connection.execute(insert(messages).values(**row))

    def new_lines(self, seq: int, routine_below: float, urgent_from: float, digest: str | None = None) -> None:
        """A message with new lines, for the pack of this box unless another is named."""
        body = {"pack_digest": digest or self.pack.digest, "routine_below": routine_below, "urgent_from": urgent_from}
        self.comes_down(seq, "thresholds", body)

    def verdicts(self) -> list[tuple[int, str | None, str | None]]:
        """Number, outcome and reason of every message."""
        return [(row.seq, row.outcome, row.reason) for row in self.box.rows(messages)]

    def reads(self, says: Any, seed: str) -> Any:
        """The row of a study about which the tiny pack says ``says`` by its own lines."""
        study = self.box.receive(image(says, seed=seed))
        assert self.worker.step(NOW)
        return self.box.study(study)


@pytest.fixture
def listening(reading_box: ReadingBox) -> Listening:
    """A box that has just started."""
    return Listening(reading_box())


def test_lines_that_settle_less_are_taken_over(listening: Listening) -> None:
    """What was urgent is escalated from here on; the decision, the report and the history say by which lines."""
    before = listening.reads("urgent", "before")
    listening.new_lines(7, 0.0, 1.0)
    assert listening.worker.step(NOW + 1)
    assert listening.verdicts() == [(7, "applied", None)]
    after = listening.reads("urgent", "after")
    own = (listening.own.routine_below, listening.own.urgent_from)
    assert (before.decision, before.routine_below, before.urgent_from, before.lines_set_by) == ("urgent", *own, "")
    assert (after.decision, after.routine_below, after.urgent_from) == ("escalate", 0.0, 1.0)
    assert after.lines_set_by == "message 7 of the cloud"
    reports = [
        read_back(listening.box.spool.file(one.payload)).to_json()
        for one in listening.box.rows(deliveries)
        if one.kind == "report"
    ]
    assert "the pack's own" in reports[0]
    assert "urgent from 1 (set by message 7 of the cloud; the pack's bound is not about them)" in reports[1]


@pytest.mark.parametrize(("lower", "upper"), [(0.01, 0.0), (0.0, -0.01), (0.01, 0.01)])
def test_lines_that_settle_more_are_refused(listening: Listening, lower: float, upper: float) -> None:
    """Either line: they need a pack with a bound of its own for them."""
    listening.new_lines(7, listening.own.routine_below + lower, listening.own.urgent_from + upper)
    assert listening.worker.step(NOW + 1)
    assert listening.verdicts() == [(7, "refused", "settles_more")]
    assert listening.box.count(lines) == 0
    assert listening.reads("urgent", "after").lines_set_by == ""


def test_the_packs_own_lines_may_come_back(listening: Listening) -> None:
    """Judged against the pack's own, not against what stands at the moment; the highest number stands."""
    listening.new_lines(7, 0.0, 1.0)
    listening.new_lines(9, listening.own.routine_below, listening.own.urgent_from)
    assert listening.worker.step(NOW + 1)
    assert listening.worker.step(NOW + 2)
    assert not listening.worker.step(NOW + 3)
    assert [row.seq for row in listening.box.rows(lines)] == [9]
    assert listening.reads("urgent", "after").decision == "urgent"


def test_an_earlier_number_that_is_judged_late_changes_nothing(listening: Listening) -> None:
    """Reordering cannot bring back lines that a later message replaced."""
    listening.new_lines(9, 0.0, 1.0)
    listening.worker.step(NOW + 1)
    listening.new_lines(7, listening.own.routine_below, listening.own.urgent_from)
    listening.worker.step(NOW + 2)
    assert [(row.seq, row.urgent_from) for row in listening.box.rows(lines)] == [(9, 1.0)]


def test_lines_outlast_a_restart(listening: Listening) -> None:
    """A new worker reads with what the last one had taken over."""
    listening.new_lines(7, 0.0, 1.0)
    listening.worker.step(NOW + 1)
    listening.worker = listening.box.worker()
    assert listening.reads("urgent", "after").decision == "escalate"


@pytest.mark.parametrize(
    ("kind", "body", "outcome", "reason"),
    [
        ("notice", {"level": "info", "text": "hello"}, "shown", None),
        ("notice", {"level": "loud", "text": "hello"}, "refused", "unreadable"),
        ("notice", {"level": "info", "text": "\x1b[2J"}, "refused", "unreadable"),
        ("notice", {}, "refused", "unreadable"),
        ("thresholds", {**LINES}, "refused", "pack_not_in_use"),
        ("thresholds", {**LINES, "routine_below": 1.0, "urgent_from": 0.1}, "refused", "unreadable"),
        ("thresholds", {**LINES, "routine_below": "0"}, "refused", "unreadable"),
        ("thresholds", {"routine_below": 0.0, "urgent_from": 1.0}, "refused", "unreadable"),
        ("reboot", {}, "refused", "unknown_kind"),
    ],
)
def test_verdicts(kind: str, body: dict[str, Any], outcome: str, reason: str | None) -> None:
    """A message that makes no sense is refused with its reason, and raises nothing."""
    verdict = applying.judge(kind, body, {})
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_a_message_holds_up_nothing_behind_it(listening: Listening) -> None:
    """What is refused is done with: the next one is judged, and the study read."""
    listening.comes_down(1, "reboot", {})
    listening.comes_down(2, "notice", {"level": "warning", "text": "hello"})
    study = listening.box.receive(image())
    for _ in range(3):
        assert listening.worker.step(NOW)
    assert listening.verdicts() == [(1, "refused", "unknown_kind"), (2, "shown", None)]
    assert listening.box.study(study).decision == "urgent"


def test_a_worker_that_dies_between_verdict_and_commit(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines and verdict are one transaction: neither is there, and the next worker judges again."""

    class Killed(BaseException):
        """Stands for the end of the process."""

    def dies(*_arguments: object) -> None:
        raise Killed

    listening.new_lines(7, 0.0, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(applying, "update", dies)
        with pytest.raises(Killed):
            listening.worker.step(NOW + 1)
    assert listening.verdicts() == [(7, None, None)]
    assert listening.box.count(lines) == 0
    listening.worker = listening.box.worker()
    assert listening.worker.step(NOW + 2)
    assert listening.verdicts() == [(7, "applied", None)]


def test_judged_again_after_the_database_was_replaced(listening: Listening) -> None:
    """The whole stream comes again from its beginning and ends where it ended."""
    for seq, upper in ((3, 1.0), (5, listening.own.urgent_from), (8, 1.0)):
        listening.new_lines(seq, 0.0, upper)
    while listening.worker.step(NOW + 1):
        pass
    with writing(listening.box.engine) as connection:
        connection.execute(update(messages).values(outcome=None))
        connection.execute(lines.delete())
    while listening.worker.step(NOW + 2):
        pass
    assert [(row.seq, row.urgent_from) for row in listening.box.rows(lines)] == [(8, 1.0)]


def test_settles_no_more() -> None:
    """Equal lines, and those further out; never one that is further in."""
    own = Thresholds(routine_below=0.2, urgent_from=0.8)
    assert settles_no_more(own, own)
    assert settles_no_more(Thresholds(routine_below=0.1, urgent_from=0.9), own)
    assert not settles_no_more(Thresholds(routine_below=0.3, urgent_from=0.9), own)
    assert not settles_no_more(Thresholds(routine_below=0.1, urgent_from=0.7), own)
