"""Where a decision stands."""

from __future__ import annotations

import pytest

from appliance.web.standing import (
    CONFIRMATION_WORDS,
    DECISION_WORDS,
    URGENCY,
    Confirmation,
    Opinions,
    confirmation,
    is_silent,
    standing_decision,
)
from models.decision import Decision


def opinions(
    decision: str | None = "escalate",
    answer: str | None = None,
    agreement: str | None = None,
    escalated: bool = False,
    state: str = "decided",
) -> Opinions:
    """Short for the tables below."""
    return Opinions(state, decision, escalated, answer, agreement)


def test_the_worklist_knows_every_decision() -> None:
    """A decision added to the models must find its place and its word here."""
    assert set(URGENCY) == {decision.value for decision in Decision}
    assert set(DECISION_WORDS) == {*URGENCY, "pending"}
    assert set(CONFIRMATION_WORDS) == set(Confirmation)


@pytest.mark.parametrize(
    ("box", "cloud", "stands"),
    [
        (None, None, "pending"),
        ("urgent", None, "urgent"),
        ("escalate", "urgent", "urgent"),
        ("escalate", "routine", "routine"),
        ("escalate", "not_triaged", "escalate"),
        ("escalate", "escalate", "escalate"),
        ("not_triaged", "routine", "routine"),
        ("urgent", "routine", "urgent"),
        ("routine", "urgent", "urgent"),
        ("routine", "escalate", "escalate"),
        ("routine", "nonsense", "routine"),
    ],
)
def test_which_decision_stands(box: str | None, cloud: str | None, stands: str) -> None:
    """The full model settles what the box could not; otherwise the more pressing decision stands."""
    assert standing_decision(opinions(box, cloud)) == stands


@pytest.mark.parametrize("state", ["receiving", "complete", "triaging"])
def test_a_late_image_takes_back_all_but_urgent(state: str) -> None:
    """Routine was said about other images; urgent stays in sight while it is read again."""
    assert standing_decision(opinions("routine", state=state)) == "pending"
    assert standing_decision(opinions("escalate", "routine", state=state)) == "pending"
    assert standing_decision(opinions("urgent", state=state)) == "urgent"
    assert confirmation(opinions("urgent", state=state), "delivered") is Confirmation.REOPENED


@pytest.mark.parametrize(
    ("given", "escalation", "expected"),
    [
        (opinions(None), None, None),
        (opinions("routine"), None, Confirmation.ON_THE_BOX),
        (opinions("not_triaged"), None, None),
        (opinions("not_triaged", escalated=True), "waiting", Confirmation.WAITING),
        (opinions(), None, Confirmation.NO_CLOUD),
        (opinions(escalated=True), None, Confirmation.WAITING),
        (opinions(escalated=True), "waiting", Confirmation.WAITING),
        (opinions(escalated=True), "leased", Confirmation.WAITING),
        (opinions(escalated=True), "delivered", Confirmation.PROVISIONAL),
        (opinions(escalated=True), "parked", Confirmation.STUCK),
        (opinions(answer="urgent", agreement="agrees"), "delivered", Confirmation.CONFIRMED),
        (opinions(answer="urgent", agreement=None), "delivered", Confirmation.ANSWERED),
        (opinions("urgent", "routine", "disagrees"), "delivered", Confirmation.DISAGREES),
    ],
)
def test_how_far_a_decision_is_confirmed(
    given: Opinions, escalation: str | None, expected: Confirmation | None
) -> None:
    """Each step from the box alone to the full model's answer has its own words."""
    assert confirmation(given, escalation) is expected


def test_a_process_is_silent_only_after_a_while() -> None:
    """A beat that lies in the future, after the clock was set back, is not silence."""
    assert not is_silent(beat_at=100.0, now=129.0)
    assert is_silent(beat_at=100.0, now=131.0)
    assert not is_silent(beat_at=500.0, now=100.0)
