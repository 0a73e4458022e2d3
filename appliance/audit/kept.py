"""What the box's own work puts into the audit trail, in the transaction of that work."""

from __future__ import annotations

from sqlalchemy import Connection, select

from appliance.audit import events
from appliance.audit.trail import record
from appliance.schema import studies


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


def study_received(connection: Connection, ae_title: str, address: str, uid: str, count: int, now: float) -> None:
    """``count`` instances of a study have come in over one association or request."""
    record(connection, events.received(ae_title, address, uid, patient_of(connection, uid), count), now)
