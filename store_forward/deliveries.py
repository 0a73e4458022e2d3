"""The outbox's tables: what has to get where, and everything that has happened to it.

State: ``waiting → leased → delivered``; a failed attempt leads back to ``waiting`` with a next time, a
refusal to ``parked``, which needs a person. Every transition is a row of ``delivery_events``, so a history
is a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    DDL,
    JSON,
    CheckConstraint,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    event,
    func,
    select,
)

from store_forward.database import METADATA


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    LEASED = "leased"
    DELIVERED = "delivered"
    PARKED = "parked"


@dataclass(frozen=True)
class DeliveryRequest:
    """Something to carry: the spooled object ``payload`` to ``destination``.

    ``key`` names the effect: asking twice under one key carries once. ``subject`` is opaque here (the box
    puts the study instance UID). The lowest ``priority`` goes first: 0 urgent, 1 escalation, 2 result, 3
    bulk.
    """

    key: str
    subject: str
    revision: int
    kind: str
    destination: str
    priority: int
    payload: str
    size_bytes: int
    content_type: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Delivery(DeliveryRequest):
    """A delivery under lease: the right, until ``lease_until``, to attempt it and to write how that went.

    ``attempts`` counts every lease; ``failures`` those that failed, since a person last asked for it.
    """

    id: int
    attempts: int
    failures: int
    lease_owner: str
    lease_until: float
    leased_at: float
    created_at: float


@dataclass(frozen=True)
class Depth:
    """How many deliveries of a destination stand in one state; ``oldest_at`` in epoch seconds."""

    destination: str
    state: DeliveryState
    count: int
    oldest_at: float


@dataclass(frozen=True)
class Load:
    """How many deliveries of one priority are still to go somewhere, and how large they are."""

    priority: int
    number: int
    size_bytes: int


_REQUEST_FIELDS: Final = tuple(each.name for each in fields(DeliveryRequest))

deliveries: Final = Table(
    "deliveries",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("subject", Text, nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("payload", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("failures", Integer, nullable=False, default=0),
    Column("next_at", Float, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", Float),
    Column("lease_boot", Text),
    Column("receipt", Text),
    Column("cause", Text),
    Column("detail", Text),
    Column("created_at", Float, nullable=False),
    Column("settled_at", Float),
    CheckConstraint("state IN ('waiting', 'leased', 'delivered', 'parked')", name="delivery_state"),
    CheckConstraint("(state = 'leased') = (lease_owner IS NOT NULL)", name="delivery_lease"),
    CheckConstraint("(state = 'leased') = (lease_boot IS NOT NULL)", name="delivery_lease_boot"),
    CheckConstraint("(state = 'delivered') = (receipt IS NOT NULL)", name="delivery_receipt"),
    Index("deliveries_by_turn", "destination", "state", "priority", "next_at"),
    Index("deliveries_by_age", "destination", "state", "created_at"),
)
#: What needs a person, by what is wrong.
Index(
    "deliveries_parked",
    *(deliveries.c[name] for name in ("destination", "cause", "created_at")),
    sqlite_where=deliveries.c.state == DeliveryState.PARKED.value,
)

#: Kept by triggers in the transaction of every change: counting a million rows for each look at the page takes long.
delivery_counts: Final = Table(
    "delivery_counts",
    METADATA,
    Column("destination", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("priority", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    CheckConstraint("number >= 0", name="delivery_count"),
)

delivery_events: Final = Table(
    "delivery_events",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("state_from", Text),
    Column("state_to", Text, nullable=False),
    Column("cause", Text),
    Column("detail", Text),
    Column("duration_ms", Float),
)


def request_of(row: Row[Any]) -> dict[str, Any]:
    """The fields of the DeliveryRequest that a row of ``deliveries`` was made from."""
    return {name: row._mapping[name] for name in _REQUEST_FIELDS}


def depth(conn: Connection) -> list[Depth]:
    """Every destination and state that has deliveries, with their number and the age of the oldest."""
    c = delivery_counts.c
    counted = select(c.destination, c.state, func.sum(c.number).label("number")).group_by(c.destination, c.state)
    found = []
    for row in conn.execute(counted.having(func.sum(c.number) > 0).order_by(c.destination, c.state)).all():
        oldest = select(func.min(deliveries.c.created_at)).where(
            deliveries.c.destination == row.destination, deliveries.c.state == row.state
        )
        found.append(Depth(row.destination, DeliveryState(row.state), row.number, conn.scalar(oldest) or 0.0))
    return found


def load(conn: Connection, destination: str) -> list[Load]:
    """What is still to go to a destination, the most urgent first."""
    c = delivery_counts.c
    query = select(c.priority, func.sum(c.number), func.sum(c.size_bytes)).group_by(c.priority).order_by(c.priority)
    still = c.state.in_([DeliveryState.WAITING.value, DeliveryState.LEASED.value])
    rows = conn.execute(query.where(c.destination == destination, still))
    return [Load(*row) for row in rows if row[1]]


_COUNT_ONE = """
    INSERT INTO delivery_counts (destination, state, priority, number, size_bytes)
    VALUES (NEW.destination, NEW.state, NEW.priority, 1, NEW.size_bytes)
    ON CONFLICT (destination, state, priority)
    DO UPDATE SET number = number + 1, size_bytes = size_bytes + NEW.size_bytes;
"""
_COUNT_ONE_LESS = """
    UPDATE delivery_counts SET number = number - 1, size_bytes = size_bytes - OLD.size_bytes
    WHERE destination = OLD.destination AND state = OLD.state AND priority = OLD.priority;
"""
_TRIGGERS: Final = (
    f"CREATE TRIGGER deliveries_added AFTER INSERT ON deliveries BEGIN {_COUNT_ONE} END",
    "CREATE TRIGGER deliveries_moved AFTER UPDATE OF state, priority ON deliveries "
    f"BEGIN {_COUNT_ONE_LESS}{_COUNT_ONE} END",
    f"CREATE TRIGGER deliveries_removed AFTER DELETE ON deliveries BEGIN {_COUNT_ONE_LESS} END",
)
for _trigger in _TRIGGERS:
    event.listen(deliveries, "after_create", DDL(_trigger))  # type: ignore[no-untyped-call]
