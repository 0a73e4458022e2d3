"""What a webhook is told about a study: one JSON object, by default without anything of the patient's.

The envelope (``type``, ``timestamp``, ``data``) is that of Standard Webhooks.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from appliance.results.outcome import DISCLAIMER, AmendedAnswer, Basis, ImageFinding, StudyOutcome
from appliance.schema import Agreement
from appliance.settings import EventType
from models.decision import Decision, Lines, PackIdentity


class Standing(StrEnum):
    """How far a decision that is told has been confirmed."""

    FINAL = "final"
    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    AMENDED = "amended"
    DISAGREES = "disagrees"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class EventFinding(_Part):
    """The highest probability (0 to 1), over all images that were read, that one named finding is present."""

    name: str
    probability: float


class EventPack(_Part):
    """The model pack that spoke; ``digest`` is the SHA-256 of its manifest."""

    name: str
    version: str
    digest: str


class EventLines(_Part):
    """The lines it was decided with. ``set_by`` is empty for the pack's own.

    ``bound`` is what the pack states for its own lines, and absent for any others.
    """

    routine_below: float
    urgent_from: float
    set_by: str
    bound: dict[str, float] | None


class EventAnswer(_Part):
    """What the cloud answered; ``basis`` says whether its full model read the image, or its head features alone."""

    decision: Decision
    reason: str | None
    findings: list[EventFinding]
    basis: Basis
    pack: EventPack | None
    answered_at: str


class EventData(_Part):
    """The study, named as the configuration allows, and what is said about it; times in UTC (RFC 3339)."""

    event_id: str
    box: str
    study: str
    study_is: Literal["pseudonym", "uid"]
    revision: int
    decision: Decision
    reason: str | None
    standing: Standing
    urgent: bool
    findings: list[EventFinding]
    pack: EventPack | None
    lines: EventLines | None
    answer: EventAnswer | None
    decided_at: str
    research_use_only: str = DISCLAIMER


class Event(_Part):
    """The body of the request; ``timestamp`` is when the newest statement in it was made."""

    type: EventType
    timestamp: str
    data: EventData


def event_id(site_key: bytes, outcome: StudyOutcome, kind: EventType) -> str:
    """The same for the same study, images, kind and basis, however often made; without the key it says nothing."""
    basis = outcome.answer.basis if outcome.answer else ""
    words = f"event\n{outcome.study_instance_uid}\n{outcome.edition}\n{kind}\n{basis}"
    return "evt_" + hmac.digest(site_key, words.encode(), "sha256").hex()[:40]


def event_of(
    outcome: StudyOutcome, kind: EventType, number: str, box: str, study: str, study_is: Literal["pseudonym", "uid"]
) -> Event:
    """The event about one outcome; ``study`` is the name it may have outside."""
    said = {outcome.decision, outcome.answer.decision if outcome.answer else None}
    data = EventData(
        event_id=number,
        box=box,
        study=study,
        study_is=study_is,
        revision=outcome.revision,
        decision=outcome.decision,
        reason=outcome.reason.value if outcome.reason else None,
        standing=standing_of(outcome),
        urgent=Decision.urgent in said,
        findings=_highest(outcome.findings),
        pack=_pack(outcome.pack),
        lines=_lines(outcome.lines),
        answer=_answer(outcome.answer) if outcome.answer else None,
        decided_at=_utc(outcome.decided_at),
    )
    return Event(type=kind, timestamp=_utc(outcome.recorded_at), data=data)


def standing_of(outcome: StudyOutcome) -> Standing:
    """Before the full model's answer: whether it is awaited. After it: whether it takes the side the box leaned to.

    An answer from features alone amends and confirms nothing.
    """
    if outcome.provisional:
        return Standing.PROVISIONAL
    if outcome.answer is None:
        return Standing.FINAL
    if outcome.answer.basis == "features":
        return Standing.AMENDED
    verdicts = {Agreement.AGREES: Standing.CONFIRMED, Agreement.DISAGREES: Standing.DISAGREES, None: Standing.AMENDED}
    return verdicts[outcome.answer.agreement]


def _highest(findings: tuple[ImageFinding, ...]) -> list[EventFinding]:
    highest: dict[str, float] = {}
    for one in findings:
        highest[one.name] = max(one.probability, highest.get(one.name, 0.0))
    ordered = sorted(highest.items(), key=lambda item: (-item[1], item[0]))
    return [EventFinding(name=name, probability=probability) for name, probability in ordered]


def _pack(pack: PackIdentity | None) -> EventPack | None:
    return EventPack(name=pack.name, version=pack.version, digest=pack.digest) if pack is not None else None


def _lines(lines: Lines | None) -> EventLines | None:
    if lines is None:
        return None
    bound = dict(lines.bound) if lines.bound is not None else None
    return EventLines(**lines.thresholds.model_dump(), set_by=lines.set_by, bound=bound)


def _answer(answer: AmendedAnswer) -> EventAnswer:
    return EventAnswer(
        decision=answer.decision,
        reason=answer.reason.value if answer.reason else None,
        findings=_highest(answer.findings),
        basis=answer.basis,
        pack=_pack(answer.pack),
        answered_at=_utc(answer.answered_at),
    )


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
