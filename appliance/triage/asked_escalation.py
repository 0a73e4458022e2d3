"""A person wants the cloud to be asked about a study: its archive is made and goes at the highest priority."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update

from appliance.disk.days import count_made
from appliance.history import record_event
from appliance.schema import StudyState, instances, studies
from appliance.standby.marks import about
from appliance.triage.asked import Asked
from appliance.triage.deliveries import URGENT, Subject, escalation
from appliance.triage.outcome_rows import reuse_answer
from appliance.triage.payloads import PayloadMaker
from appliance.triage.person_tables import asked_escalations
from models.decision import Decision
from store_forward.database import reading, writing
from store_forward.outbox import enqueue
from store_forward.spool import Spool

_GIVEN_UP = "making the image safe ended the worker each time; it stays on the box"


def carry_out_next(engine: Engine, payloads: PayloadMaker, spool: Spool, most_attempts: int, now: float) -> bool:
    """Carry out what was asked for first; False when nothing was. The attempt is counted before any file is opened."""
    if _next(engine) is None:
        return False
    with writing(engine) as connection:
        asked = connection.execute(
            select(asked_escalations).where(asked_escalations.c.done_at.is_(None)).order_by(asked_escalations.c.id)
        ).first()
        if asked is None:
            return False
        of_row = update(asked_escalations).where(asked_escalations.c.id == asked.id)
        connection.execute(of_row.values(attempts=asked.attempts + 1))
    if asked.attempts >= most_attempts:
        made = Asked(withheld=_GIVEN_UP)
    else:
        with reading(engine) as connection:
            digests = _digests(connection, asked.study_instance_uid)
        made = payloads.image_after_all([spool.file(digest) for digest in digests])
    with writing(engine) as connection:
        connection.execute(of_row.values(done_at=now))
        _send(connection, asked, made, now)
    return True


def _next(engine: Engine) -> int | None:
    c = asked_escalations.c
    with reading(engine) as connection:
        return connection.execute(select(c.id).where(c.done_at.is_(None)).limit(1)).scalar_one_or_none()


def _send(connection: Connection, asked: Row[Any], made: Asked, now: float) -> None:
    uid = asked.study_instance_uid
    study = connection.execute(select(studies).where(studies.c.study_instance_uid == uid)).one()
    if made.archive is None:
        record_event(connection, uid, now, "not_sent", made.withheld)
        return
    if study.revision != asked.revision or study.state not in (StudyState.DECIDED, StudyState.SETTLED):
        record_event(connection, uid, now, "not_sent", "the study is being read again; ask again when it is decided")
        return
    subject = Subject(uid, study.revision, Decision(study.decision), study.abnormality)
    request = replace(escalation(subject, made.archive, made.left_out), priority=URGENT)
    changes = {"state": StudyState.DECIDED, "escalated": True, "settled_at": None}
    connection.execute(update(studies).where(studies.c.study_instance_uid == uid).values(**changes))
    count_made(connection, now, [request])
    enqueue(connection, about(study.images_digest, request), now)
    reuse_answer(connection, request.payload)


def _digests(connection: Connection, uid: str) -> list[str]:
    c = instances.c
    query = select(c.file_digest).where(c.study_instance_uid == uid, c.left_out_by.is_(None))
    return list(connection.execute(query.order_by(c.series_instance_uid, c.sop_instance_uid)).scalars())
