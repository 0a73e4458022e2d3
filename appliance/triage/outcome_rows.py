"""A decision, its findings, and every delivery it causes: written in one transaction or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select, update

from appliance.disk.days import count_made
from appliance.disk.layers import take_layer
from appliance.disk.removals import ask_removal
from appliance.history import record_event
from appliance.results.outcome import StudyOutcome
from appliance.schema import StudyState, answers, findings, heat_map_layers, instances, studies
from appliance.standby.marks import about, apply_marks
from appliance.triage.deliveries import ESCALATIONS
from appliance.triage.queue import Claim, settle_if_done, still_ours
from store_forward.outbox import DeliveryRequest, enqueue


@dataclass(frozen=True)
class Prepared:
    """Everything that one transaction will write; all payloads are durable in the spool already."""

    outcome: StudyOutcome
    deliveries: tuple[DeliveryRequest, ...]
    escalated: bool
    latency_ms: float | None
    heat_map: str | None
    thumbnail: str | None
    notes: tuple[str, ...] = ()
    ruled: tuple[str, ...] = ()
    left_out_by: Mapping[str, str] = field(default_factory=dict)
    """By SOP Instance UID: the rule that says it is not to be read."""
    heat_layer: str | None = None


def commit_outcome(connection: Connection, claim: Claim, prepared: Prepared) -> bool:
    """Write it all inside the caller's transaction; False, and nothing written, when a late image came first."""
    if not still_ours(connection, claim):
        return False
    uid, outcome = claim.study_instance_uid, prepared.outcome
    _replace_pictures(connection, uid, prepared)
    connection.execute(update(studies).where(studies.c.study_instance_uid == uid).values(**_columns(prepared)))
    for found in outcome.findings:
        row = {
            "sop_instance_uid": found.sop_instance_uid,
            "name": found.name,
            "probability": found.probability,
        }
        connection.execute(
            insert(findings).values(study_instance_uid=uid, revision=claim.revision, source="box", **row)
        )
    at = outcome.decided_at
    _write_rules(connection, uid, prepared)
    record_event(connection, uid, at, "decided", _words(outcome))
    for note in prepared.notes:
        record_event(connection, uid, at, "not_sent", note)
    for request in prepared.deliveries:
        enqueue(connection, about(outcome.images_digest, request), at)
        if request.kind in ESCALATIONS:
            reuse_answer(connection, request.payload)
    count_made(connection, at, prepared.deliveries)
    apply_marks(connection, uid, at)
    settle_if_done(connection, uid, at)
    return True


def _write_rules(connection: Connection, uid: str, prepared: Prepared) -> None:
    """Which rules counted, and what they left out; what an earlier revision left out no longer counts."""
    for words in prepared.ruled:
        record_event(connection, uid, prepared.outcome.decided_at, "ruled", words)
    of_study = update(instances).where(instances.c.study_instance_uid == uid)
    connection.execute(of_study.where(instances.c.left_out_by.is_not(None)).values(left_out_by=None))
    for instance, rule in prepared.left_out_by.items():
        connection.execute(of_study.where(instances.c.sop_instance_uid == instance).values(left_out_by=rule))


def _replace_pictures(connection: Connection, uid: str, prepared: Prepared) -> None:
    """Those of an earlier revision are for nobody any more."""
    old = connection.execute(select(studies.c.heat_map, studies.c.thumbnail).where(studies.c.study_instance_uid == uid))
    new = (prepared.heat_map, prepared.thumbnail, prepared.heat_layer)
    ask_removal(connection, uid, (digest for row in old for digest in row if digest and digest not in new))
    ask_removal(connection, uid, (digest for digest in take_layer(connection, uid) if digest not in new))
    shown = prepared.outcome.shown
    if prepared.heat_layer is not None and shown is not None:
        values = {"sop_instance_uid": shown.sop_instance_uid, "digest": prepared.heat_layer}
        connection.execute(insert(heat_map_layers).values(study_instance_uid=uid, **values))


def reuse_answer(connection: Connection, payload: str) -> None:
    """The cloud answers one payload once: if it has already answered this one, that answer holds here too."""
    connection.execute(update(answers).where(answers.c.payload == payload).values(applied_at=None))


def _columns(prepared: Prepared) -> dict[str, object]:
    outcome, pack, lines = prepared.outcome, prepared.outcome.pack, prepared.outcome.lines
    return {
        "state": StudyState.DECIDED,
        "images_digest": outcome.images_digest,
        "decision": outcome.decision.value,
        "reason": outcome.reason.value if outcome.reason else None,
        "detail": outcome.detail,
        "abnormality": outcome.abnormality,
        "pack": pack.name if pack else None,
        "pack_version": pack.version if pack else None,
        "pack_digest": pack.digest if pack else None,
        "device": outcome.device,
        "latency_ms": prepared.latency_ms,
        "decided_at": outcome.decided_at,
        "routine_below": lines.thresholds.routine_below if lines else None,
        "urgent_from": lines.thresholds.urgent_from if lines else None,
        "lines_set_by": lines.set_by if lines else None,
        "bound": dict(lines.bound) if lines and lines.bound else None,
        "heat_map": prepared.heat_map,
        "heat_map_finding": outcome.shown.name if outcome.shown else None,
        "thumbnail": prepared.thumbnail,
        "escalated": prepared.escalated,
        "send_to": list(outcome.orders.send_to) if outcome.orders.send_to is not None else None,
        "send_priority": outcome.orders.priority,
        "answer_decision": None,
        "answer_reason": None,
        "answer_pack": None,
        "answer_pack_version": None,
        "answer_pack_digest": None,
        "answer_basis": None,
        "answered_at": None,
        "agreement": None,
        "settled_at": None,
    }


def _words(outcome: StudyOutcome) -> str:
    return f"{outcome.decision.value}: {outcome.reason.value}" if outcome.reason else outcome.decision.value
