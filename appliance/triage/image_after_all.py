"""The cloud could make nothing of the features: the image goes after all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from appliance.disk.days import count_made
from appliance.history import record_event
from appliance.rules.verdict import orders_of
from appliance.schema import instances, studies
from appliance.standby.marks import about
from appliance.triage.deliveries import FEATURES, IMAGE, Subject, escalation
from appliance.triage.outcome_rows import reuse_answer
from appliance.triage.payloads import PayloadMaker
from models.decision import Decision
from store_forward.database import reading
from store_forward.deliveries import request_of
from store_forward.moves import hasten
from store_forward.outbox import DeliveryRequest, deliveries, enqueue
from store_forward.protocol import Answer
from store_forward.spool import Spool


def wants_image(study: Row[Any] | None, answer: Answer) -> bool:
    """Whether this answers features and says that nothing could be read from them, for whatever reason."""
    return study is not None and study.kind == FEATURES and answer.decision == Decision.not_triaged.value


def image_request(engine: Engine, payloads: PayloadMaker, spool: Spool, study: Row[Any]) -> DeliveryRequest | None:
    """The delivery of the image: the one that is queued, or a new one whose archive is durable now.

    None when nothing may leave; the answer that nothing was read from the features then stands.
    """
    uid = study.study_instance_uid
    with reading(engine) as connection:
        queued = connection.execute(
            select(deliveries).where(
                deliveries.c.subject == uid, deliveries.c.revision == study.revision, deliveries.c.kind == IMAGE
            )
        ).first()
        if queued is not None:
            return DeliveryRequest(**request_of(queued))
        paths = _paths(connection, uid, spool)
    made = payloads.image_after_all(paths)
    if made.archive is None:
        return None
    request = escalation(_subject(study), made.archive, made.left_out)
    return replace(request, priority=_asking(study))


def send_image(connection: Connection, study: Row[Any], request: DeliveryRequest, answer: Answer, now: float) -> None:
    """Queue it, or let it go as urgently as its features did; no change when a late image came in between."""
    c = studies.c
    query = select(c.revision, c.answered_at).where(c.study_instance_uid == study.study_instance_uid)
    present = connection.execute(query).one()
    if present.revision != study.revision or present.answered_at is not None:
        return
    if connection.execute(select(deliveries.c.id).where(deliveries.c.key == request.key)).first() is None:
        count_made(connection, now, [request])
        reuse_answer(connection, request.payload)
    hasten(connection, enqueue(connection, about(study.images_digest, request), now), _asking(study))
    record_event(connection, study.study_instance_uid, now, "image_asked_for", answer.reason or answer.decision)


def _asking(study: Row[Any]) -> int:
    return orders_of(study).urgency(_subject(study).asking)


def _subject(study: Row[Any]) -> Subject:
    return Subject(study.study_instance_uid, study.revision, Decision(study.decision), study.abnormality)


def _paths(connection: Connection, study_instance_uid: str, spool: Spool) -> list[Path]:
    c = instances.c
    query = select(c.file_digest).where(c.study_instance_uid == study_instance_uid, c.left_out_by.is_(None))
    digests = connection.execute(query.order_by(c.series_instance_uid, c.sop_instance_uid)).scalars()
    return [spool.file(digest) for digest in digests]
