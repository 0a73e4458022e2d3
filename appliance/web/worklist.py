"""The worklist: one page of all studies, how many there are of each kind, and each study as it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select

from appliance.labels import Said, latest_labels
from appliance.schema import findings, studies
from appliance.study_index import PENDING, study_counts
from appliance.web.deliveries import DeliveryStanding, escalation_state, standing_of
from appliance.web.language import later
from appliance.web.listing import Options, Place, WorklistRequest, listed, options
from appliance.web.standing import URGENCY, Confirmation, Opinions, confirmation, standing_decision

MOST_PENDING = 12


@dataclass(frozen=True)
class FindingRow:
    """One finding of a study: the highest probability (0..1) over its images, by "box" or "cloud"."""

    source: str
    name: str
    probability: float


@dataclass(frozen=True)
class StudyRow:
    """One study as the worklist shows it. Times are epoch seconds; hidden patient fields are empty."""

    study_instance_uid: str
    state: str
    revision: int
    standing: str
    decision: str | None
    answer_decision: str | None
    reason: str | None
    answer_reason: str | None
    answer_basis: str | None
    detail: str | None
    confirmation: Confirmation | None
    patient_name: str
    patient_id: str
    patient_age: str
    accession_number: str
    study_date: str
    study_description: str
    modalities: str
    calling_ae_title: str
    instance_count: int
    first_received_at: float
    last_received_at: float
    latency_ms: float | None
    thumbnail: str | None
    findings: tuple[FindingRow, ...]
    deliveries: tuple[DeliveryStanding, ...]
    said: Said | None = None

    @property
    def answerer(self) -> str:
        """Who answered in the cloud: the full model, or the head of the box's pack."""
        return later("Features alone") if self.answer_basis == "features" else later("Full model")

    @property
    def amended(self) -> bool:
        """Whether the cloud's answer has put another decision in the place of the box's."""
        return self.answer_decision is not None and self.standing not in ("pending", self.decision)


@dataclass(frozen=True)
class Worklist:
    """One page: ``rows`` in order, the latest studies still without a decision, and how many there are of each kind.

    ``counts`` are of all studies, whatever the page is narrowed to; ``all`` leaves out those in progress. ``newer``
    and ``older`` are the places where the list goes on, None where it ends.
    """

    request: WorklistRequest
    rows: tuple[StudyRow, ...]
    pending: tuple[StudyRow, ...]
    pending_count: int
    counts: dict[str, int]
    options: Options
    newer: Place | None
    older: Place | None
    searched_all: bool


def worklist(conn: Connection, request: WorklistRequest, sees_patients: bool) -> Worklist:
    """Read one page of the worklist."""
    page = listed(conn, request, sees_patients)
    counts = counts_of(conn)
    uids = [place.uid for place in page.places]
    apart = request.order == "urgency" and request.show == "all" and request.first_page and not request.narrowed
    pending = [one.uid for one in listed(conn, WorklistRequest(show="pending"), sees_patients).places] if apart else []
    rows = study_rows(conn, [*uids, *pending[:MOST_PENDING]], sees_patients)
    return Worklist(
        request=request,
        rows=tuple(rows[uid] for uid in uids if uid in rows),
        pending=tuple(rows[uid] for uid in pending[:MOST_PENDING] if uid in rows),
        pending_count=counts["pending"],
        counts={kind: number for kind, number in counts.items() if kind != "pending"},
        options=options(conn),
        newer=page.newer,
        older=page.older,
        searched_all=page.searched_all,
    )


def counts_of(conn: Connection) -> dict[str, int]:
    """How many studies there are of each kind; ``all`` is those on which a decision stands."""
    kinds = (*URGENCY, "pending", "disagrees", "provisional", "all")
    counts = dict.fromkeys(kinds, 0)
    for row in conn.execute(select(study_counts)):
        counts["pending" if row.urgency == PENDING else URGENCY[row.urgency]] += row.number
        if row.doubt:
            counts[row.doubt] += row.number
    counts["all"] = sum(counts[urgency] for urgency in URGENCY)
    return counts


def study_rows(conn: Connection, uids: Sequence[str], show_patient: bool) -> dict[str, StudyRow]:
    """The studies with these UIDs, with their present findings and deliveries; unknown UIDs are left out."""
    rows = conn.execute(select(studies).where(studies.c.study_instance_uid.in_(uids))).all()
    revisions = {row.study_instance_uid: row.revision for row in rows}
    found = _present_findings(conn, revisions)
    sent = standing_of(conn, revisions)
    said = latest_labels(conn, list(revisions))
    made = {
        row.study_instance_uid: _study_row(
            row, found.get(row.study_instance_uid, ()), sent.get(row.study_instance_uid, ()), show_patient
        )
        for row in rows
    }
    return {uid: replace(row, said=said.get(uid)) for uid, row in made.items()}


def opinions_of(row: Any) -> Opinions:
    """What box and cloud think, from a row of ``studies``."""
    escalated = bool(row.escalated)
    return Opinions(row.state, row.decision, escalated, row.answer_decision, row.agreement, row.answer_basis)


def _study_row(row: Any, found: Iterable[FindingRow], sent: Iterable[DeliveryStanding], show_patient: bool) -> StudyRow:
    opinions, sent = opinions_of(row), tuple(sent)
    return StudyRow(
        study_instance_uid=row.study_instance_uid,
        state=row.state,
        revision=row.revision,
        standing=standing_decision(opinions),
        decision=row.decision,
        answer_decision=row.answer_decision,
        reason=row.reason,
        answer_reason=row.answer_reason,
        answer_basis=row.answer_basis,
        detail=row.detail,
        confirmation=confirmation(opinions, escalation_state(sent)),
        patient_name=row.patient_name if show_patient else "",
        patient_id=row.patient_id if show_patient else "",
        patient_age=row.patient_age,
        accession_number=row.accession_number if show_patient else "",
        study_date=row.study_date,
        study_description=row.study_description,
        modalities=row.modalities.replace("\\", ", "),
        calling_ae_title=row.calling_ae_title,
        instance_count=row.instance_count,
        first_received_at=row.first_received_at,
        last_received_at=row.last_received_at,
        latency_ms=row.latency_ms,
        thumbnail=row.thumbnail,
        findings=tuple(found),
        deliveries=sent,
    )


def _present_findings(conn: Connection, revisions: dict[str, int]) -> dict[str, list[FindingRow]]:
    c = findings.c
    query = (
        select(c.study_instance_uid, c.revision, c.source, c.name, func.max(c.probability).label("probability"))
        .where(c.study_instance_uid.in_(list(revisions)))
        .group_by(c.study_instance_uid, c.revision, c.source, c.name)
        .order_by(func.max(c.probability).desc(), c.name)
    )
    found: dict[str, list[FindingRow]] = {}
    for row in conn.execute(query):
        if row.revision == revisions[row.study_instance_uid]:
            one = FindingRow(row.source, row.name, row.probability)
            found.setdefault(row.study_instance_uid, []).append(one)
    return found
