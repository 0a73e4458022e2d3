"""Marks: what has been settled, named so that both boxes mean the same by it.

Neither the number of a delivery nor a study's revision is the same on two boxes. A mark therefore names the study, the
set of images that were read, the kind of delivery and the destination. Marks are facts: they may come twice, late and
in any order, and the outcome is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Row, and_, or_, select
from sqlalchemy.dialects.sqlite import insert

from appliance.schema import StudyState, studies, study_events
from appliance.standby.state import settled_elsewhere
from appliance.triage.queue import settle_if_done
from store_forward.deliveries import DeliveryRequest, DeliveryState, deliveries, delivery_events
from store_forward.moves import settle_elsewhere

#: So many rows of a history are looked at for one page of marks.
PAGE_ROWS: Final = 500
IMAGES: Final = "images"
_LONGEST_RECEIPT: Final = 300
_OPEN = [state.value for state in DeliveryState if state is not DeliveryState.DELIVERED]
_marks = settled_elsewhere.c


class Mark(BaseModel):
    """One thing that is settled; an empty ``kind`` means all there is to carry there about these images."""

    model_config = ConfigDict(frozen=True, strict=True)

    study_instance_uid: Annotated[str, Field(min_length=1, max_length=200)]
    images_digest: Annotated[str, Field(min_length=1, max_length=64)]
    kind: Annotated[str, Field(max_length=100)]
    destination: Annotated[str, Field(min_length=1, max_length=100)]
    receipt: Annotated[str, Field(min_length=1, max_length=400)]


@dataclass(frozen=True)
class Page:
    """Marks out of a history, and the number of the last row that was looked at."""

    marks: tuple[Mark, ...]
    read_to: int
    more: bool


def about(images_digest: str, request: DeliveryRequest) -> DeliveryRequest:
    """The same delivery, which now says what images it is about."""
    return replace(request, attributes={**request.attributes, IMAGES: images_digest})


def delivered_since(connection: Connection, after: int, by: str) -> Page:
    """Every delivery that has reached its destination, from event number ``after`` on; ``by`` names this box."""
    event, delivery = delivery_events.c, deliveries.c
    rows = connection.execute(
        select(event.id, event.state_to, delivery.subject, delivery.kind, delivery.destination, delivery.attributes)
        .add_columns(delivery.receipt)
        .join(deliveries, delivery.id == event.delivery_id)
        .where(event.id > after)
        .order_by(event.id)
        .limit(PAGE_ROWS)
    ).all()
    marks = [
        _mark(row.subject, row.attributes[IMAGES], row.kind, row.destination, row.receipt, by)
        for row in rows
        if row.state_to == DeliveryState.DELIVERED.value and row.receipt and row.attributes.get(IMAGES)
    ]
    return Page(tuple(marks), max([after, *(row.id for row in rows)]), len(rows) == PAGE_ROWS)


def settled_since(connection: Connection, after: int, destinations: Iterable[str], by: str) -> Page:
    """Every study that is settled, from event number ``after`` on: whatever its decision did not cause is not to come.

    Such a mark is given for each of ``destinations`` alone: of others this box knows nothing.
    """
    event, study = study_events.c, studies.c
    rows = connection.execute(
        select(event.id, event.kind, study.study_instance_uid, study.images_digest, study.state)
        .join(studies, study.study_instance_uid == event.study_instance_uid)
        .where(event.id > after)
        .order_by(event.id)
        .limit(PAGE_ROWS)
    ).all()
    settled = [row for row in rows if row.kind == "settled" and row.state == StudyState.SETTLED and row.images_digest]
    names = list(destinations)
    marks = [
        _mark(row.study_instance_uid, row.images_digest, "", name, "the study is settled there", by)
        for row in settled
        for name in names
    ]
    return Page(tuple(marks), max([after, *(row.id for row in rows)]), len(rows) == PAGE_ROWS)


def keep_marks(connection: Connection, marks: Iterable[Mark], now: float) -> int:
    """Write marks down and settle what they name, in the caller's transaction; returns how many deliveries it was."""
    told = list(marks)
    for mark in told:
        connection.execute(insert(settled_elsewhere).values(**mark.model_dump(), told_at=now).on_conflict_do_nothing())
    return sum(apply_marks(connection, uid, now) for uid in sorted({mark.study_instance_uid for mark in told}))


def apply_marks(connection: Connection, study_instance_uid: str, now: float) -> int:
    """Settle those open deliveries of a study that the other box has seen to, and the study if that was all."""
    named = and_(
        _marks.study_instance_uid == deliveries.c.subject,
        _marks.images_digest == deliveries.c.attributes[IMAGES].as_string(),
        _marks.destination == deliveries.c.destination,
        or_(_marks.kind == deliveries.c.kind, _marks.kind == ""),
    )
    found = connection.execute(
        select(deliveries.c.id, _marks.receipt)
        .join(settled_elsewhere, named)
        .where(deliveries.c.subject == study_instance_uid, deliveries.c.state.in_(_OPEN))
        .order_by(deliveries.c.id, _marks.kind.desc())
    ).all()
    number = sum(settle_elsewhere(connection, row.id, row.receipt, now) for row in found)
    whole = _settled_whole(connection, study_instance_uid)
    if number or whole:
        settle_if_done(connection, study_instance_uid, now, answer_awaited=not whole)
    return number


def _settled_whole(connection: Connection, study_instance_uid: str) -> bool:
    """Whether the other box has settled the study as it now is here."""
    mark: Row[Any] | None = connection.execute(
        select(_marks.kind)
        .join(studies, studies.c.images_digest == _marks.images_digest)
        .where(_marks.study_instance_uid == study_instance_uid, _marks.kind == "")
        .where(studies.c.study_instance_uid == study_instance_uid)
        .limit(1)
    ).first()
    return mark is not None


def _mark(uid: str, images_digest: str, kind: str, destination: str, receipt: str, by: str) -> Mark:
    words = receipt if receipt.startswith("by ") else f"by {by}: {receipt}"
    return Mark(
        study_instance_uid=uid,
        images_digest=images_digest,
        kind=kind,
        destination=destination,
        receipt=words[:_LONGEST_RECEIPT],
    )
