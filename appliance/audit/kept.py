"""What the box's own work puts into the audit trail, in the transaction of that work, and what was looked at."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import OperationalError

from appliance.audit import events
from appliance.audit.trail import record
from appliance.schema import studies
from store_forward.database import writing

log = structlog.get_logger()


def note(engine: Engine, event: events.AuditEvent, now: float) -> None:
    """Put into the trail what was only looked at. A disk that does not take it is said in the log."""
    try:
        with writing(engine) as connection:
            record(connection, event, now)
    except OperationalError as error:
        log.error("audit.not_recorded", kind=type(error.orig).__name__)


def patient_of(connection: Connection, uid: str) -> str:
    """The Patient ID of a study on this box, empty where it has none."""
    query = select(studies.c.patient_id).where(studies.c.study_instance_uid == uid)
    return connection.scalar(query) or ""


def study_sent(connection: Connection, destination: str, uid: str, kind: str, now: float) -> None:
    """Something of a study has arrived at ``destination``."""
    record(connection, events.sent(destination, uid, patient_of(connection, uid), kind), now)


def study_deleted(connection: Connection, uid: str, why: str, now: float) -> None:
    """A study's files are gone."""
    record(connection, events.deleted(uid, patient_of(connection, uid), why), now)


def study_received(connection: Connection, ae_title: str, address: str, uid: str, now: float) -> None:
    """Instances of a study have come in over one association or request; so many are here now."""
    c = studies.c
    row = connection.execute(select(c.patient_id, c.instance_count).where(c.study_instance_uid == uid)).one_or_none()
    patient_id, count = (row.patient_id, row.instance_count) if row is not None else ("", 0)
    record(connection, events.received(ae_title, address, uid, patient_id, count), now)


def caller_refused(connection: Connection, ae_title: str, address: str, cause: str, now: float) -> None:
    """Somebody asked for an association and got none."""
    who = (events.Participant(ae_title, True, address), events.this_box())
    outcome = events.Outcome.MINOR_FAILURE
    record(connection, events.alert(events.EventType.NODE_AUTHENTICATION, who, cause, outcome=outcome), now)
