"""Whose turn it is at a destination: of what is due, the most urgent, and of those the longest due.

Due is what waits and whose time has come, and what is leased under a lease that is void: it ran out, or was
taken in an earlier boot, when whoever held it has died. Nothing a clock does may strand a delivery: a time
further ahead than any pause or lease we give can only come from a clock that was wrong, and counts as reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select

from store_forward.deliveries import DeliveryState, deliveries

LONGEST_PAUSE_S: Final = 86_400.0
"""No pause is longer."""
LONGEST_LEASE_S: Final = 900.0
"""No lease is longer. A clock set back by more than this voids every lease at once."""

_table = deliveries.c
_Row = Row[Any]


def next_due(conn: Connection, destination: str, now: float, boot: str, least_urgent: int | None = None) -> _Row | None:
    """The row that is to go next, or None; with ``least_urgent``, of no higher priority number than that.

    Takes a few searches of an index for each priority in use, however much waits.
    """
    waiting = _first_waiting(conn, destination, now, least_urgent)
    rows = [*_void_leases(conn, destination, now, boot, least_urgent), *([waiting] if waiting is not None else [])]
    return min(rows, key=lambda row: (row.priority, row.next_at, row.id), default=None)


def _first_waiting(conn: Connection, destination: str, now: float, least_urgent: int | None) -> _Row | None:
    for priority in priorities(conn, destination, least_urgent):
        for reached in (_table.next_at <= now, _table.next_at > now + LONGEST_PAUSE_S):
            query = _of(destination, DeliveryState.WAITING).where(_table.priority == priority, reached)
            row = conn.execute(query.order_by(_table.next_at, _table.id).limit(1)).one_or_none()
            if row is not None:
                return row
    return None


def priorities(conn: Connection, destination: str, least_urgent: int | None = None) -> Iterator[int]:
    """The priorities of what waits, most urgent first; found one after the other, not by reading all rows."""
    state = _table.state == DeliveryState.WAITING.value
    lowest = select(func.min(_table.priority)).where(_table.destination == destination, state)
    priority = conn.scalar(lowest)
    while priority is not None and (least_urgent is None or priority <= least_urgent):
        yield priority
        priority = conn.scalar(lowest.where(_table.priority > priority))


def _void_leases(conn: Connection, destination: str, now: float, boot: str, least_urgent: int | None) -> list[_Row]:
    """Leased rows whose lease no longer holds; there are never more of them than workers."""
    query = _of(destination, DeliveryState.LEASED).where(_void(now, boot))
    if least_urgent is not None:
        query = query.where(_table.priority <= least_urgent)
    return list(conn.execute(query).all())


def _void(now: float, boot: str) -> ColumnElement[bool]:
    by_time = or_(_table.lease_until <= now, _table.lease_until > now + LONGEST_LEASE_S)
    return or_(by_time, _table.lease_boot != boot)


def _of(destination: str, state: DeliveryState) -> Select[Any]:
    return select(deliveries).where(_table.destination == destination, _table.state == state.value)
