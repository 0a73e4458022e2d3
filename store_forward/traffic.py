"""What was carried where, by the hour: how fast a link is, and how busy it was. Counted as attempts end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Connection, Float, Integer, Table, Text, select
from sqlalchemy.dialects.sqlite import insert

from store_forward.database import METADATA
from store_forward.deliveries import Delivery, DeliveryState, delivery_events

HOUR_S: Final = 3600.0

#: By destination and hour since 1970-01-01 UTC: what arrived there, and for how long something was being carried.
delivery_hours: Final = Table(
    "delivery_hours",
    METADATA,
    Column("destination", Text, primary_key=True),
    Column("hour", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("busy_ms", Float, nullable=False),
)

#: Attempts that our own side broke off: until then they were carrying.
_BROKEN_OFF: Final = frozenset({"gave_way", "bulk_window_closed", "held_for_other_box", "stopped"})
#: It is there, and only the receipt is still to come; when that comes nothing is carried.
_STORED: Final = "commitment_awaited"

_NEW: Final = insert(delivery_hours)
_COUNT: Final = _NEW.on_conflict_do_update(
    index_elements=["destination", "hour"],
    set_={name: delivery_hours.c[name] + _NEW.excluded[name] for name in ("number", "size_bytes", "busy_ms")},
)


@dataclass(frozen=True)
class Hour:
    """What one hour (since 1970-01-01 UTC) brought to a destination."""

    hour: int
    number: int
    size_bytes: int
    busy_ms: float


def hour_of(at: float) -> int:
    """Hours since 1970-01-01 UTC."""
    return int(at // HOUR_S)


def count_attempt(
    conn: Connection, delivery: Delivery, now: float, state: str, cause: str | None, duration_ms: float
) -> None:
    """An attempt has ended in ``state``; one that failed tells nothing of how fast the link is."""
    arrived = state == DeliveryState.DELIVERED.value or cause == _STORED
    if not arrived and cause not in _BROKEN_OFF:
        return
    first = arrived and not _was_stored(conn, delivery.id)
    if arrived and not first:
        return
    amounts = {"number": int(first), "size_bytes": delivery.size_bytes if first else 0, "busy_ms": duration_ms}
    conn.execute(_COUNT, {"destination": delivery.destination, "hour": hour_of(now), **amounts})


def _was_stored(conn: Connection, delivery_id: int) -> bool:
    events = delivery_events.c
    query = select(events.id).where(events.delivery_id == delivery_id, events.cause == _STORED)
    return conn.scalar(query.limit(1)) is not None


def hours(conn: Connection, destination: str, since: int) -> list[Hour]:
    """The hours from ``since`` on in which something was carried."""
    c = delivery_hours.c
    query = select(c.hour, c.number, c.size_bytes, c.busy_ms).where(c.destination == destination, c.hour >= since)
    return [Hour(*row) for row in conn.execute(query.order_by(c.hour))]
