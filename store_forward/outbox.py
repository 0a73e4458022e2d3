"""The outbox: what may happen to a delivery, as functions on the caller's own transaction.

The caller's business rows and the deliveries they cause commit together or not at all. An attempt is
counted when the lease is taken, before the work. A settlement is written only by whoever still holds the
lease: after a lease has run out and been taken by another, the first holder gets LeaseLost instead of
overwriting what is true now.

A clock that was wrong and is set back must not strand anything: a time that lies further ahead than any
pause or lease we give counts as reached.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from store_forward.backoff import next_delay_s
from store_forward.deliveries import (
    Delivery,
    DeliveryRequest,
    DeliveryState,
    Depth,
    deliveries,
    delivery_events,
    depth,
    request_of,
)
from store_forward.destinations import (
    Contact,
    advance_cursor,
    contact_of,
    destinations,
    read_cursor,
    record_contact,
)
from store_forward.errors import LeaseLost

__all__ = [
    "Contact",
    "Delivery",
    "DeliveryRequest",
    "DeliveryState",
    "Depth",
    "LeaseLost",
    "advance_cursor",
    "any_due",
    "contact_of",
    "deferred",
    "delivered",
    "deliveries",
    "delivery_events",
    "depth",
    "destinations",
    "enqueue",
    "extend",
    "lease",
    "park",
    "read_cursor",
    "record_contact",
    "refused",
    "retry",
    "take_back",
    "wake",
]

LONGEST_PAUSE_S: Final = 86_400.0
"""No pause and no lease is longer; a time further ahead can only come from a clock that was wrong."""

_WAITING, _LEASED = DeliveryState.WAITING.value, DeliveryState.LEASED.value
_DELIVERED, _PARKED = DeliveryState.DELIVERED.value, DeliveryState.PARKED.value
_table = deliveries.c


def enqueue(conn: Connection, request: DeliveryRequest, now: float) -> int:
    """Ask for a delivery and return its id; asking again under the same key returns the first, unchanged."""
    statement = insert(deliveries).values(**asdict(request), state=_WAITING, next_at=now, created_at=now)
    statement = statement.on_conflict_do_nothing(index_elements=["key"])
    new = conn.execute(statement.returning(_table.id)).scalar_one_or_none()
    if new is None:
        return int(conn.execute(select(_table.id).where(_table.key == request.key)).scalar_one())
    _note(conn, new, now, None, _WAITING)
    return int(new)


def lease(conn: Connection, destination: str, owner: str, now: float, lease_s: float) -> Delivery | None:
    """Take the next delivery for ``destination``: lowest priority number, then oldest; None when none is due.

    Due is what waits and whose time has come, and what is leased and whose lease has run out. ``owner``
    must be unique to one worker of one process. Raises ValueError for a lease that is not between 0 and
    LONGEST_PAUSE_S.
    """
    if not 0 < lease_s <= LONGEST_PAUSE_S:
        raise ValueError(f"a lease lasts between 0 and {LONGEST_PAUSE_S} seconds")
    due = _due(conn, destination, now)
    if not due:
        return None
    row = min(due, key=lambda candidate: (candidate.priority, candidate.id))
    leased = Delivery(
        **request_of(row),
        id=row.id,
        attempts=row.attempts + 1,
        lease_owner=owner,
        lease_until=now + lease_s,
        leased_at=now,
        created_at=row.created_at,
    )
    changes = {"attempts": leased.attempts, "lease_owner": owner, "lease_until": leased.lease_until}
    conn.execute(update(deliveries).where(_table.id == row.id).values(state=_LEASED, **changes))
    _note(conn, row.id, now, row.state, _LEASED, "lease_expired" if row.state == _LEASED else None)
    return leased


def extend(conn: Connection, delivery: Delivery, now: float, lease_s: float) -> Delivery:
    """Hold the lease for ``lease_s`` more seconds from ``now``; for long transfers. Raises LeaseLost."""
    longer = replace(delivery, lease_until=now + min(lease_s, LONGEST_PAUSE_S))
    _while_held(conn, delivery, {"lease_until": longer.lease_until})
    return longer


def delivered(conn: Connection, delivery: Delivery, receipt: str, now: float) -> None:
    """The destination has it, and ``receipt`` says so. Raises LeaseLost, and then writes nothing."""
    _settle(
        conn,
        delivery,
        now,
        _DELIVERED,
        {"receipt": receipt, "settled_at": now, "cause": None, "detail": None},
    )


def deferred(
    conn: Connection,
    delivery: Delivery,
    cause: str,
    detail: str,
    now: float,
    rng: random.Random,
    retry_after_s: float | None = None,
    cap_s: float = 300.0,
) -> float:
    """The attempt failed and a later one may not; returns the pause in seconds. Raises LeaseLost.

    ``retry_after_s`` is the least pause the other side asked for; it is not followed beyond LONGEST_PAUSE_S.
    """
    pause_s = max(next_delay_s(delivery.attempts, rng, cap_s=cap_s), retry_after_s or 0.0)
    pause_s = min(pause_s, LONGEST_PAUSE_S)
    _settle(conn, delivery, now, _WAITING, {"next_at": now + pause_s, "cause": cause, "detail": detail})
    return pause_s


def refused(conn: Connection, delivery: Delivery, cause: str, detail: str, now: float) -> None:
    """The destination will never take it: parked, for a person to look at. Raises LeaseLost."""
    _settle(conn, delivery, now, _PARKED, {"cause": cause, "detail": detail, "settled_at": now})


def retry(conn: Connection, ids: Collection[int], now: float) -> int:
    """A person asks for these now: parked and waiting deliveries become due. Returns how many."""
    movable = select(_table.id, _table.state).where(_table.id.in_(ids), _table.state.in_([_PARKED, _WAITING]))
    return _move(conn, movable, now, _WAITING, "retried_by_person", {"next_at": now, "settled_at": None})


def park(conn: Connection, ids: Collection[int], cause: str, now: float) -> int:
    """Set these aside, whatever is under way: a holder of the lease gets LeaseLost. Returns how many."""
    movable = select(_table.id, _table.state).where(_table.id.in_(ids), _table.state.in_([_WAITING, _LEASED]))
    return _move(conn, movable, now, _PARKED, cause, {"cause": cause, "settled_at": now, **_NO_LEASE})


def wake(conn: Connection, destination: str, now: float) -> int:
    """The way to ``destination`` is open again: everything that waits for it becomes due. Returns how many."""
    later = select(_table.id, _table.state).where(_table.destination == destination, _table.state == _WAITING)
    return _move(conn, later.where(_table.next_at > now), now, _WAITING, "link_restored", {"next_at": now})


def take_back(conn: Connection, destination: str, now: float) -> int:
    """A new uplink makes due at once what its predecessor held when it ended. Returns how many."""
    held = select(_table.id, _table.state).where(_table.destination == destination, _table.state == _LEASED)
    return _move(conn, held, now, _WAITING, "uplink_restarted", {"next_at": now, **_NO_LEASE})


def any_due(conn: Connection, destination: str, now: float) -> bool:
    """Whether :func:`lease` would find something; a read, so that an idle lane never takes the write lock."""
    return bool(_due(conn, destination, now))


_NO_LEASE: Final = {"lease_owner": None, "lease_until": None}


def _due(conn: Connection, destination: str, now: float) -> list[Row[Any]]:
    """The first that waits and the first whose lease has run out, of those whose time has come."""
    candidates = (
        _first(conn, destination, _WAITING, _table.next_at, now),
        _first(conn, destination, _LEASED, _table.lease_until, now),
    )
    return [row for row in candidates if row is not None]


def _first(
    conn: Connection, destination: str, state: str, reached: ColumnElement[float], now: float
) -> Row[Any] | None:
    return conn.execute(
        select(deliveries)
        .where(_table.destination == destination, _table.state == state)
        .where(or_(reached <= now, reached > now + LONGEST_PAUSE_S))
        .order_by(_table.priority, _table.id)
        .limit(1)
    ).one_or_none()


def _while_held(conn: Connection, delivery: Delivery, changes: dict[str, Any]) -> None:
    held = conn.execute(
        update(deliveries)
        .where(_table.id == delivery.id, _table.state == _LEASED)
        .where(_table.lease_owner == delivery.lease_owner, _table.attempts == delivery.attempts)
        .values(**changes)
    )
    if held.rowcount != 1:
        raise LeaseLost(f"delivery {delivery.id}, attempt {delivery.attempts}")


def _settle(conn: Connection, delivery: Delivery, now: float, state: str, changes: dict[str, Any]) -> None:
    _while_held(conn, delivery, {"state": state, **_NO_LEASE, **changes})
    duration_ms = (now - delivery.leased_at) * 1000.0
    _note(conn, delivery.id, now, _LEASED, state, changes.get("cause"), changes.get("detail"), duration_ms)


def _move(conn: Connection, movable: Any, now: float, state: str, cause: str, changes: dict[str, Any]) -> int:
    rows = conn.execute(movable).all()
    for row in rows:
        conn.execute(update(deliveries).where(_table.id == row.id).values(state=state, **changes))
        _note(conn, row.id, now, row.state, state, cause)
    return len(rows)


def _note(
    conn: Connection,
    delivery_id: int,
    at: float,
    state_from: str | None,
    state_to: str,
    cause: str | None = None,
    detail: str | None = None,
    duration_ms: float | None = None,
) -> None:
    event = {"at": at, "state_from": state_from, "state_to": state_to, "cause": cause, "detail": detail}
    conn.execute(delivery_events.insert().values(delivery_id=delivery_id, duration_ms=duration_ms, **event))
