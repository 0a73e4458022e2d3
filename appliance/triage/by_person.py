"""What a person at the page may ask for a study that is decided: read it again, ask the cloud now, send results again.

Each is one function on the caller's transaction, and writes into the study's history who asked. What was decided
before stays in the history.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from appliance.disk.reconcile import read_again
from appliance.disk.removals import DELETED
from appliance.disk.tables import deletions
from appliance.history import record_event
from appliance.labels import NOBODY
from appliance.schema import StudyState, studies
from appliance.standby.marks import IMAGES
from appliance.triage.deliveries import ESCALATIONS, URGENT
from appliance.triage.person_tables import asked_escalations
from store_forward.deliveries import DeliveryRequest, DeliveryState, deliveries, request_of
from store_forward.moves import hasten, retry
from store_forward.outbox import enqueue
from store_forward.spool import Spool

_DECIDED: Final = (StudyState.DECIDED, StudyState.SETTLED)
_SENT: Final = DeliveryState.DELIVERED.value


class Hindrance(StrEnum):
    """Why it cannot be done; the page has a sentence with the repair for each."""

    UNKNOWN = "unknown"
    UNDER_WAY = "under_way"
    DELETED = "deleted"
    DAMAGED = "damaged"
    NO_CLOUD = "no_cloud"
    ANSWERED = "answered"
    ASKED_ALREADY = "asked_already"
    NOTHING_TO_SEND = "nothing_to_send"
    RESULT_GONE = "result_gone"


class NotNow(Exception):
    """It cannot be done with this study as it stands, and nothing was changed."""

    def __init__(self, why: Hindrance) -> None:
        super().__init__(why.value)
        self.why = why


def rerun(connection: Connection, spool: Spool, uid: str, person: str, now: float) -> None:
    """Have the study read again by the packs that are active now, as a new revision. Raises NotNow."""
    study = _decided(connection, uid)
    _require_images(connection, uid)
    record_event(connection, uid, now, "rerun", person or NOBODY)
    read_again(connection, spool, uid, f"{person or NOBODY} asked for it; before it was {study.decision}", now)
    if _study(connection, uid).state != StudyState.COMPLETE:
        raise NotNow(Hindrance.DAMAGED)


def escalate_now(connection: Connection, uid: str, has_cloud: bool, person: str, now: float) -> None:
    """Ask the cloud about the study at the highest priority, whatever was decided.

    What is queued already is hastened; else the triage worker makes the archive, as pixels are opened only there.
    Raises NotNow.
    """
    study = _decided(connection, uid)
    if not has_cloud:
        raise NotNow(Hindrance.NO_CLOUD)
    if study.answered_at is not None and study.answer_basis != "features":
        raise NotNow(Hindrance.ANSWERED)
    queued = connection.execute(
        select(deliveries.c.id, deliveries.c.state).where(
            deliveries.c.subject == uid,
            deliveries.c.revision == study.revision,
            deliveries.c.kind == ESCALATIONS[0],
        )
    ).first()
    if queued is not None:
        if queued.state == _SENT:
            raise NotNow(Hindrance.ASKED_ALREADY)
        retry(connection, [queued.id], now)
        hasten(connection, queued.id, URGENT)
    else:
        _require_images(connection, uid)
        _ask(connection, study, person, now)
    record_event(connection, uid, now, "escalated_by_person", person or NOBODY)


def _ask(connection: Connection, study: Row[Any], person: str, now: float) -> None:
    c = asked_escalations.c
    same = (c.study_instance_uid == study.study_instance_uid) & (c.revision == study.revision) & c.done_at.is_(None)
    if connection.execute(select(c.id).where(same)).first() is not None:
        raise NotNow(Hindrance.ASKED_ALREADY)
    row = {"study_instance_uid": study.study_instance_uid, "revision": study.revision, "person": person}
    connection.execute(insert(asked_escalations).values(**row, asked_at=now))


def resend(connection: Connection, spool: Spool, uid: str, destination: str, person: str, now: float) -> int:
    """Send the results of the present revision to ``destination`` again; returns how many go. Raises NotNow.

    What is not there yet is made due; what was delivered goes once more, as a delivery of its own. The image for the
    cloud is no result.
    """
    study = _decided(connection, uid)
    c = deliveries.c
    results = (c.subject == uid) & (c.revision == study.revision) & (c.destination == destination)
    rows = connection.execute(select(deliveries).where(results, c.kind.not_in(ESCALATIONS)).order_by(c.id)).all()
    latest = {row.kind: row for row in rows}
    if not latest:
        raise NotNow(Hindrance.NOTHING_TO_SEND)
    sent = [row for row in latest.values() if row.state == _SENT]
    if not all(spool.holds(row.payload) for row in latest.values()):
        raise NotNow(Hindrance.RESULT_GONE)
    retry(connection, [row.id for row in latest.values() if row.state != _SENT], now)
    for row in sent:
        enqueue(connection, _once_more(connection, row), now)
    if sent and study.state == StudyState.SETTLED:
        of_study = update(studies).where(studies.c.study_instance_uid == uid)
        connection.execute(of_study.values(state=StudyState.DECIDED, settled_at=None))
    record_event(connection, uid, now, "sent_again", f"to {destination}, {len(latest)} results: {person or NOBODY}")
    return len(latest)


def _once_more(connection: Connection, row: Row[Any]) -> DeliveryRequest:
    """The same delivery under another key; what another box has settled does not count for it."""
    request = DeliveryRequest(**request_of(row))
    c = deliveries.c
    same = (c.subject == row.subject) & (c.revision == row.revision) & (c.kind == row.kind)
    before = connection.execute(select(func.count()).where(same, c.destination == row.destination)).scalar_one()
    attributes = {name: value for name, value in request.attributes.items() if name != IMAGES}
    key = f"{row.subject}:{row.revision}:{row.kind}:{row.destination}:again {before}"
    return replace(request, key=key, attributes=attributes)


def _decided(connection: Connection, uid: str) -> Row[Any]:
    study = _study(connection, uid)
    if study.decision is None or study.state not in _DECIDED:
        raise NotNow(Hindrance.UNDER_WAY)
    return study


def _study(connection: Connection, uid: str) -> Row[Any]:
    study = connection.execute(select(studies).where(studies.c.study_instance_uid == uid)).one_or_none()
    if study is None:
        raise NotNow(Hindrance.UNKNOWN)
    return study


def _require_images(connection: Connection, uid: str) -> None:
    gone = select(deletions.c.id).where(deletions.c.study_instance_uid == uid, deletions.c.state.in_(DELETED))
    if connection.execute(gone).first() is not None:
        raise NotNow(Hindrance.DELETED)
