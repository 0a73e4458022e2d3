"""Where things stand with the outbox: per study, per destination, and what is parked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import Connection, select

from appliance.results.commitments import awaited, last_receipt
from appliance.settings import Settings
from appliance.triage.deliveries import ESCALATIONS
from store_forward.outbox import deliveries, depth, destinations

#: A study has a handful of deliveries; of one that is reopened very often the latest are read.
_MOST_PER_STUDY = 40
MOST_PARKED = 20
_OPEN = ("waiting", "leased", "parked")


@dataclass(frozen=True)
class DeliveryStanding:
    """One delivery of a study's present revision. Times are epoch seconds."""

    delivery_id: int
    kind: str
    destination: str
    state: str
    attempts: int
    size_bytes: int
    next_at: float
    receipt: str
    cause: str
    detail: str
    created_at: float
    settled_at: float | None


@dataclass(frozen=True)
class DestinationView:
    """One destination: the state of the link to it, since when, and what is still to go there.

    Of a PACS also for how many deliveries its storage commitment is awaited, and what kind of receipt its latest was.
    """

    name: str
    kind: str
    configured: bool
    state: str
    since: float | None
    last_ok_at: float | None
    detail: str
    waiting: int
    leased: int
    parked: int
    oldest_at: float | None
    awaited: int = 0
    last_receipt: str = ""


@dataclass(frozen=True)
class ParkedDelivery:
    """A delivery that needs a person, with the words of the far side."""

    delivery_id: int
    study_instance_uid: str
    destination: str
    kind: str
    cause: str
    detail: str
    attempts: int
    parked_at: float


def standing_of(conn: Connection, revisions: Mapping[str, int]) -> dict[str, list[DeliveryStanding]]:
    """The deliveries of the present revision of each study, by its UID, oldest first."""
    query = (
        select(deliveries)
        .where(deliveries.c.subject.in_(list(revisions)))
        .order_by(deliveries.c.id.desc())
        .limit(_MOST_PER_STUDY * max(len(revisions), 1))
    )
    found: dict[str, list[DeliveryStanding]] = {}
    for row in conn.execute(query):
        if row.revision != revisions[row.subject]:
            continue
        one = DeliveryStanding(
            delivery_id=row.id,
            kind=row.kind,
            destination=row.destination,
            state=row.state,
            attempts=row.attempts,
            size_bytes=row.size_bytes,
            next_at=row.next_at,
            receipt=row.receipt or "",
            cause=row.cause or "",
            detail=row.detail or "",
            created_at=row.created_at,
            settled_at=row.settled_at,
        )
        found.setdefault(row.subject, []).insert(0, one)
    return found


def escalation_state(sent: Iterable[DeliveryStanding]) -> str | None:
    """How far the cloud has been asked with the image, its features or both; None when it is not asked.

    ``delivered`` when one of them is there, ``parked`` when neither gets there by itself.
    """
    states = {one.state for one in sent if one.kind in ESCALATIONS}
    return next((state for state in ("delivered", "leased", "waiting", "parked") if state in states), None)


def destination_views(conn: Connection, settings: Settings) -> tuple[DestinationView, ...]:
    """Every destination that is configured, was ever contacted or still has deliveries; the cloud first."""
    configured = {pacs.name: "pacs" for pacs in settings.pacs}
    configured |= {server.name: "stow" for server in settings.stow}
    configured |= {webhook.name: "webhook" for webhook in settings.webhook}
    if settings.cloud.url is not None:
        configured = {"cloud": "cloud", **configured}
    contacts = {row.name: row for row in conn.execute(select(destinations))}
    open_ = _open_deliveries(conn)
    names = [*configured, *sorted((set(contacts) | {name for name, _ in open_}) - set(configured))]
    views = []
    for name in names:
        contact = contacts.get(name)
        counted = {state: open_.get((name, state), (0, None)) for state in _OPEN}
        oldest = [at for state, (_, at) in counted.items() if at is not None and state != "parked"]
        views.append(
            DestinationView(
                name=name,
                kind=configured.get(name) or (contact.kind if contact else "unknown"),
                configured=name in configured,
                state=contact.state if contact else "unknown",
                since=contact.since if contact else None,
                last_ok_at=contact.last_ok_at if contact else None,
                detail=(contact.detail or "") if contact else "",
                waiting=counted["waiting"][0],
                leased=counted["leased"][0],
                parked=counted["parked"][0],
                oldest_at=min(oldest, default=None),
                awaited=awaited(conn, name),
                last_receipt=last_receipt(conn, name) if configured.get(name) == "pacs" else "",
            )
        )
    return tuple(views)


def _open_deliveries(conn: Connection) -> dict[tuple[str, str], tuple[int, float | None]]:
    """How many deliveries are not delivered, and when the oldest was made, by (destination, state)."""
    return {(one.destination, one.state.value): (one.count, one.oldest_at) for one in depth(conn) if one.state in _OPEN}


def parked_deliveries(conn: Connection, names: Iterable[str]) -> tuple[ParkedDelivery, ...]:
    """The latest parked deliveries to these destinations."""
    c = deliveries.c
    parked = select(deliveries).where(c.state == "parked").order_by(c.created_at.desc(), c.id.desc()).limit(MOST_PARKED)
    groups = [conn.execute(parked.where(c.destination == name)) for name in names]
    latest = islice(merge(*groups, key=lambda row: (row.created_at, row.id), reverse=True), MOST_PARKED)
    return tuple(parked_delivery(row) for row in latest)


def parked_delivery(row: Any) -> ParkedDelivery:
    """From a row of ``deliveries``."""
    return ParkedDelivery(
        delivery_id=row.id,
        study_instance_uid=row.subject,
        destination=row.destination,
        kind=row.kind,
        cause=row.cause or "",
        detail=row.detail or "",
        attempts=row.attempts,
        parked_at=row.settled_at if row.settled_at is not None else row.created_at,
    )
