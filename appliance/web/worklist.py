"""The worklist: the latest studies by urgency, or all by arrival; only one page is ever read whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from appliance.labels import Said, latest_labels
from appliance.schema import findings, studies
from appliance.web.deliveries import DeliveryStanding, escalation_state, standing_of
from appliance.web.standing import URGENCY, Confirmation, Opinions, confirmation, standing_decision

#: How many of the latest studies are sorted by urgency. Older ones are on the list by arrival.
WINDOW = 1000
PAGE_ROWS = 25
MOST_PENDING = 12

#: What ``show`` may be.
SHOWN = ("all", *URGENCY, "disagrees")


@dataclass(frozen=True)
class WorklistRequest:
    """Which part of the worklist is wanted.

    ``order`` is "urgency" (with ``show`` and a 1-based ``page``) or "arrival" (everything received before
    the study ``(before, before_uid)``).
    """

    order: str = "urgency"
    show: str = "all"
    page: int = 1
    before: float | None = None
    before_uid: str = ""


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
        return "Features alone" if self.answer_basis == "features" else "Full model"


@dataclass(frozen=True)
class Worklist:
    """One page: ``rows`` in order, the studies still without a decision, and how many there are of each kind.

    ``counts`` covers the latest ``window`` studies. ``older`` is the place where the list by arrival goes on.
    """

    request: WorklistRequest
    rows: tuple[StudyRow, ...]
    pending: tuple[StudyRow, ...]
    pending_count: int
    counts: dict[str, int]
    pages: int
    window: int
    window_full: bool
    older: tuple[float, str] | None


@dataclass(frozen=True)
class _Outline:
    uid: str
    standing: str
    disagrees: bool


def worklist(conn: Connection, request: WorklistRequest, show_patient: bool) -> Worklist:
    """Read one page of the worklist."""
    outlines = _latest(conn)
    counts = Counter(outline.standing for outline in outlines if outline.standing != "pending")
    counts["all"] = counts.total()
    counts["disagrees"] = sum(outline.disagrees for outline in outlines)
    pending = [outline.uid for outline in outlines if outline.standing == "pending"]
    if request.order == "arrival":  # where they stand among the others
        pending, pages = [], 1
        uids, older = _by_arrival(conn, request)
    else:
        uids, pages = _by_urgency(outlines, request)
        older = None
    rows = study_rows(conn, [*uids, *pending[:MOST_PENDING]], show_patient)
    return Worklist(
        request=request,
        rows=tuple(rows[uid] for uid in uids if uid in rows),
        pending=tuple(rows[uid] for uid in pending[:MOST_PENDING] if uid in rows),
        pending_count=len(pending),
        counts=dict(counts),
        pages=pages,
        window=WINDOW,
        window_full=len(outlines) == WINDOW,
        older=older,
    )


def _latest(conn: Connection) -> list[_Outline]:
    c = studies.c
    query = (
        select(c.study_instance_uid, c.state, c.decision, c.escalated, c.answer_decision, c.agreement, c.answer_basis)
        .order_by(c.last_received_at.desc(), c.study_instance_uid.desc())
        .limit(WINDOW)
    )
    return [
        _Outline(row.study_instance_uid, standing_decision(opinions_of(row)), _disagrees(row))
        for row in conn.execute(query)
    ]


def _disagrees(row: Any) -> bool:
    return confirmation(opinions_of(row), None) is Confirmation.DISAGREES


def _by_urgency(outlines: Sequence[_Outline], request: WorklistRequest) -> tuple[list[str], int]:
    """The UIDs of the wanted page and how many pages there are; within one urgency the latest comes first."""
    wanted = [outline for outline in outlines if _is_shown(outline, request.show)]
    wanted.sort(key=lambda outline: URGENCY.index(outline.standing))
    pages = max(1, -(-len(wanted) // PAGE_ROWS))
    first = (min(max(request.page, 1), pages) - 1) * PAGE_ROWS
    return [outline.uid for outline in wanted[first : first + PAGE_ROWS]], pages


def _is_shown(outline: _Outline, show: str) -> bool:
    if outline.standing == "pending":
        return False
    if show == "disagrees":
        return outline.disagrees
    return show not in URGENCY or outline.standing == show


def _by_arrival(conn: Connection, request: WorklistRequest) -> tuple[list[str], tuple[float, str] | None]:
    c = studies.c
    query = select(c.study_instance_uid, c.last_received_at)
    if request.before is not None:
        same_moment = and_(c.last_received_at == request.before, c.study_instance_uid < request.before_uid)
        # The first term is implied by the second, but it is the one SQLite can search the index with.
        query = query.where(c.last_received_at <= request.before, or_(c.last_received_at < request.before, same_moment))
    query = query.order_by(c.last_received_at.desc(), c.study_instance_uid.desc()).limit(PAGE_ROWS + 1)
    found = [(float(row.last_received_at), str(row.study_instance_uid)) for row in conn.execute(query)]
    page = found[:PAGE_ROWS]
    return [uid for _, uid in page], page[-1] if len(found) > PAGE_ROWS else None


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
