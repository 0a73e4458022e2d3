"""What an event says about a study, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from appliance.results.event import Standing, event_id, event_of, standing_of
from appliance.results.outcome import AmendedAnswer, ImageFinding, StudyOutcome
from appliance.schema import Agreement
from models.decision import Decision, Lines, PackIdentity, Thresholds

OWN = Lines(Thresholds(routine_below=0.1, urgent_from=0.9), bound={"missed": 0.02})
OTHERS = Lines(Thresholds(routine_below=0.05, urgent_from=0.9), "message 7")


def outcome(agreement: Agreement | None = None, *, answered: Decision | None = None, **fields: Any) -> StudyOutcome:
    """A study of two images, about which the box says 0.4."""
    usual: dict[str, Any] = {
        "study_instance_uid": "1.2.3",
        "revision": 2,
        "decision": Decision.escalate,
        "decided_at": 1_780_000_000.25,
        "findings": (ImageFinding("1.2.3.4", "a", 0.2), ImageFinding("1.2.3.5", "a", 0.4)),
        "pack": PackIdentity("light", "1.0.0", "a" * 64),
        "lines": OWN,
    }
    if answered is not None:
        found = (ImageFinding("", "a", 0.95),)
        full = PackIdentity("full", "2.0.0", "b" * 64)
        usual["answer"] = AmendedAnswer(answered, None, found, full, None, 1_780_000_100.0, agreement)
    return StudyOutcome(**usual | fields)


def test_an_event_about_a_decision() -> None:
    """Everything a receiver needs, the highest probability of each finding, and the words that it is research."""
    told = event_of(outcome(provisional=True), "study.decided", "evt_1", "box-1", "2.25.9", "pseudonym")
    said = json.loads(told.model_dump_json())
    assert said["type"] == "study.decided"
    assert said["timestamp"] == said["data"]["decided_at"] == "2026-05-28T20:26:40.250Z"
    data = said["data"]
    assert (data["event_id"], data["box"], data["study"], data["study_is"]) == ("evt_1", "box-1", "2.25.9", "pseudonym")
    assert (data["decision"], data["standing"], data["urgent"], data["revision"]) == (
        "escalate",
        "provisional",
        False,
        2,
    )
    assert data["findings"] == [{"name": "a", "probability": 0.4}]
    assert data["pack"] == {"name": "light", "version": "1.0.0", "digest": "a" * 64}
    assert data["lines"] == {"routine_below": 0.1, "urgent_from": 0.9, "set_by": "", "bound": {"missed": 0.02}}
    assert data["answer"] is None
    assert data["research_use_only"] == "Research use only, not for diagnosis"


def test_no_uid_of_study_or_image_gets_out_under_a_pseudonym() -> None:
    """The default names nothing that is in the patient's images."""
    told = event_of(outcome(answered=Decision.urgent), "study.amended", "evt_1", "box-1", "2.25.9", "pseudonym")
    assert "1.2.3" not in told.model_dump_json()


def test_an_event_about_an_answer() -> None:
    """The full model's word beside the box's; urgent as soon as one of them says so."""
    amended = outcome(Agreement.DISAGREES, answered=Decision.urgent)
    told = event_of(amended, "study.amended", "evt_2", "box-1", "1.2.3", "uid")
    assert (told.data.decision, told.data.standing, told.data.urgent) == ("escalate", "disagrees", True)
    assert told.data.answer is not None
    assert (told.data.answer.decision, told.data.answer.findings[0].probability) == ("urgent", 0.95)
    assert told.timestamp == told.data.answer.answered_at == "2026-05-28T20:28:20.000Z"


@pytest.mark.parametrize(
    ("one", "standing"),
    [
        (outcome(), Standing.FINAL),
        (outcome(provisional=True), Standing.PROVISIONAL),
        (outcome(Agreement.AGREES, answered=Decision.urgent), Standing.CONFIRMED),
        (outcome(Agreement.DISAGREES, answered=Decision.urgent), Standing.DISAGREES),
        (outcome(None, answered=Decision.escalate), Standing.AMENDED),
    ],
)
def test_standing(one: StudyOutcome, standing: Standing) -> None:
    """Before an answer whether one is awaited, after it what it came to."""
    assert standing_of(one) is standing


def test_the_bound_is_about_the_packs_own_lines() -> None:
    """Of lines from elsewhere nobody has shown it, so it is not said."""
    told = event_of(outcome(lines=OTHERS), "study.decided", "evt_1", "box-1", "1.2.3", "uid")
    assert told.data.lines is not None
    assert (told.data.lines.set_by, told.data.lines.bound) == ("message 7", None)


def test_a_study_that_nothing_could_read() -> None:
    """No findings, no pack, no lines: absent, not zero."""
    bare = outcome(decision=Decision.not_triaged, findings=(), pack=None, lines=None)
    told = event_of(bare, "study.decided", "evt_1", "box-1", "1.2.3", "uid")
    assert (told.data.findings, told.data.pack, told.data.lines) == ([], None, None)


def test_the_id_follows_from_what_the_event_is_about() -> None:
    """The same however often it is made; another for another study, revision, kind or site; and no UID in it."""
    first = event_id(b"k" * 32, outcome(), "study.decided")
    assert first == event_id(b"k" * 32, outcome(decided_at=1.0), "study.decided")
    others = {
        event_id(b"k" * 32, outcome(), "study.amended"),
        event_id(b"k" * 32, outcome(revision=3), "study.decided"),
        event_id(b"k" * 32, outcome(study_instance_uid="1.2.4"), "study.decided"),
        event_id(b"l" * 32, outcome(), "study.decided"),
    }
    assert len({first, *others}) == 5
    assert "." not in first  # it stands before a dot in what is signed
