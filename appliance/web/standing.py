"""Where a study's decision stands once the box, the link and the full model have had their say. Pure rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.schema import Agreement, StudyState
from appliance.web.language import later

#: The order of the worklist, most pressing first.
URGENCY = ("urgent", "escalate", "not_triaged", "routine")

_BEFORE_DECISION = (StudyState.RECEIVING, StudyState.COMPLETE, StudyState.TRIAGING)

#: A process that has not reported for this long, s, is shown as silent.
SILENT_AFTER_S = 30.0


class Confirmation(StrEnum):
    """How far a decision has been confirmed."""

    ON_THE_BOX = "on_the_box"
    WAITING = "waiting"
    PROVISIONAL = "provisional"
    STUCK = "stuck"
    NO_CLOUD = "no_cloud"
    CONFIRMED = "confirmed"
    ANSWERED = "answered"
    FROM_FEATURES = "from_features"
    DISAGREES = "disagrees"
    REOPENED = "reopened"


CONFIRMATION_WORDS = {
    Confirmation.ON_THE_BOX: later("decided on the box"),
    Confirmation.WAITING: later("provisional, waiting for the link"),
    Confirmation.PROVISIONAL: later("provisional, sent to cloud"),
    Confirmation.STUCK: later("provisional, not sent: the delivery is parked"),
    Confirmation.NO_CLOUD: later("no cloud to ask: needs a person"),
    Confirmation.CONFIRMED: later("confirmed by the full model"),
    Confirmation.ANSWERED: later("answered by the full model"),
    Confirmation.FROM_FEATURES: later("answered from features alone, the full model has not read it"),
    Confirmation.DISAGREES: later("box and cloud disagree"),
    Confirmation.REOPENED: later("a late image came: being read again"),
}

DECISION_WORDS = {
    "urgent": later("Urgent"),
    "escalate": later("Escalated"),
    "not_triaged": later("Not triaged"),
    "routine": later("Routine"),
    "pending": later("In progress"),
}


@dataclass(frozen=True)
class Opinions:
    """The columns of a study row that say what box and cloud think; None where one has not spoken."""

    state: str
    decision: str | None
    escalated: bool
    answer_decision: str | None
    agreement: str | None
    answer_basis: str | None = None

    @property
    def reopened(self) -> bool:
        """Whether what was decided is for an earlier revision: a late image has come since."""
        return self.decision is not None and self.state in _BEFORE_DECISION


def standing_decision(opinions: Opinions) -> str:
    """The decision a reader should act on; ``pending`` before there is one.

    A full model settles what the box could not; where both have decided, the more pressing one stands. What rests on
    features alone can make a study urgent, but takes no urgency away. After a late image an earlier decision no longer
    stands, but what was urgent stays in sight.
    """
    cloud, alone = opinions.answer_decision, opinions.answer_basis == "features"
    standing = _standing_of_revision(opinions.decision, cloud if not alone or cloud == "urgent" else None)
    return "pending" if opinions.reopened and standing != "urgent" else standing


def _standing_of_revision(box: str | None, cloud: str | None) -> str:
    if box not in URGENCY:
        return "pending"
    if cloud not in URGENCY:
        return box
    if box in ("escalate", "not_triaged") and cloud in ("urgent", "routine"):
        return cloud
    return min(box, cloud, key=URGENCY.index)


def confirmation(opinions: Opinions, escalation_state: str | None) -> Confirmation | None:
    """How far the decision is confirmed; None where nothing has been said.

    ``escalation_state`` is the state of the study's present escalation delivery, None when there is none.
    """
    if opinions.decision is None:
        return None
    if opinions.reopened:
        return Confirmation.REOPENED
    if opinions.agreement == Agreement.DISAGREES:
        return Confirmation.DISAGREES
    if opinions.answer_decision is not None:
        if opinions.answer_basis == "features":
            return Confirmation.FROM_FEATURES
        agreed = opinions.agreement == Agreement.AGREES
        return Confirmation.CONFIRMED if agreed else Confirmation.ANSWERED
    if escalation_state == "parked":
        return Confirmation.STUCK
    if escalation_state == "delivered":
        return Confirmation.PROVISIONAL
    if escalation_state is not None or opinions.escalated:
        return Confirmation.WAITING
    if opinions.decision == "not_triaged":
        return None  # nothing was said, so there is nothing to confirm
    return Confirmation.NO_CLOUD if opinions.decision == "escalate" else Confirmation.ON_THE_BOX


def is_silent(beat_at: float, now: float) -> bool:
    """Whether a process has missed its beats."""
    return now - beat_at > SILENT_AFTER_S
