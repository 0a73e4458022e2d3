"""What goes where, how urgently, and under which key."""

from __future__ import annotations

import pytest

from appliance.triage.deliveries import Subject, escalation, result
from models.decision import Decision
from store_forward.spool import StoredObject

STORED = StoredObject("a" * 64, 123)


def subject(decision: Decision, highest: float | None = None, revision: int = 1) -> Subject:
    """One study."""
    return Subject("1.2.3", revision, decision, highest)


@pytest.mark.parametrize(
    ("decision", "highest", "priority"),
    [
        (Decision.escalate, 0.2, 1),
        (Decision.escalate, 0.4999, 1),
        (Decision.escalate, 0.5, 0),
        (Decision.escalate, None, 1),
        (Decision.urgent, 0.9, 0),
    ],
)
def test_an_escalation_that_leans_towards_a_finding_goes_first(
    decision: Decision, highest: float | None, priority: int
) -> None:
    """Uncertain but probable overtakes uncertain."""
    made = escalation(subject(decision, highest), STORED, 2)
    assert (made.kind, made.destination, made.priority) == ("escalation", "cloud", priority)
    assert (made.payload, made.size_bytes, made.content_type) == ("a" * 64, 123, "application/zip")
    assert made.attributes == {"left_out": 2}


@pytest.mark.parametrize(("decision", "priority"), [(Decision.urgent, 0), (Decision.routine, 2)])
def test_urgent_results_overtake_the_others(decision: Decision, priority: int) -> None:
    """In the archive's lane too."""
    made = result(subject(decision, 0.9), "report", "archive", STORED)
    assert made.priority == priority
    assert made.content_type == "application/dicom"


def test_a_new_revision_is_a_new_effect() -> None:
    """After a late image everything is sent again."""
    first = escalation(subject(Decision.escalate), STORED, 0)
    second = escalation(subject(Decision.escalate, revision=2), STORED, 0)
    assert first.key != second.key
