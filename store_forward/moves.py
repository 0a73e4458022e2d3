"""What moves deliveries without an attempt: a person's word, and a link that has come back.

Each is a fixed number of statements however many deliveries it moves, and writes an event for every one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, literal, select, update

from store_forward.deliveries import DeliveryState, deliveries, delivery_events
from store_forward.turns import priorities

NO_LEASE: Final = {"lease_owner": None, "lease_until": None, "lease_boot": None}
WOKEN_AT_ONCE: Final = 1000

_WAITING, _LEASED, _PARKED = DeliveryState.WAITING.value, DeliveryState.LEASED.value, DeliveryState.PARKED.value
_table = deliveries.c
Which = Collection[int] | ColumnElement[bool]


def retry(conn: Connection, which: Which, now: float, by: str = "") -> int:
    """A person asks for these now: parked and waiting ones become due, in their old place. Returns how many.

    ``by`` is who, for the history; empty where nobody has a name.
    """
    movable = _chosen(which) & _table.state.in_([_PARKED, _WAITING])
    changes = {"next_at": _old_place(now), "failures": 0, "settled_at": None}
    return _move(conn, movable, now, _WAITING, "retried_by_person", changes, _by(by))


def park(conn: Connection, which: Which, cause: str, now: float, by: str = "") -> int:
    """Set these aside, whatever is under way: a holder of the lease gets LeaseLost. Returns how many."""
    movable = _chosen(which) & _table.state.in_([_WAITING, _LEASED])
    changes = {"cause": cause, "settled_at": now, **NO_LEASE, **({"detail": _by(by)} if by else {})}
    return _move(conn, movable, now, _PARKED, cause, changes, _by(by))


def hasten(conn: Connection, delivery_id: int, priority: int) -> None:
    """Let this one go as urgently as ``priority`` says from its next turn on, if it went later until now."""
    later = (_table.id == delivery_id) & (_table.priority > priority) & _table.state.in_([_WAITING, _LEASED])
    conn.execute(update(deliveries).where(later).values(priority=priority))


def take_back(conn: Connection, destination: str, now: float) -> int:
    """The one process that carries to it has started anew: what its predecessor held is due. Returns how many."""
    held = (_table.destination == destination) & (_table.state == _LEASED)
    changes = {"next_at": func.min(_table.next_at, now), **NO_LEASE}
    return _move(conn, held, now, _WAITING, "uplink_restarted", changes)


def settle_elsewhere(conn: Connection, number: int, receipt: str, now: float) -> bool:
    """Another box has seen to it, as ``receipt`` says: it is not carried from here. False when it is settled already.

    Whoever is carrying it gets LeaseLost.
    """
    states = [_WAITING, _LEASED, _PARKED]
    changes = {"receipt": receipt, "settled_at": now, "cause": "settled_elsewhere", "detail": None, **NO_LEASE}
    movable = (_table.id == number) & _table.state.in_(states)
    return _move(conn, movable, now, DeliveryState.DELIVERED.value, "settled_elsewhere", changes) == 1


def wake(conn: Connection, destination: str, now: float) -> int:
    """The way to ``destination`` is open again: what waits for it becomes due, the most urgent first.

    At most WOKEN_AT_ONCE, so that a long queue does not hold the write lock; returns how many, fewer
    when there are no more.
    """
    ids: list[int] = []
    for priority in priorities(conn, destination):
        later = select(_table.id).where(
            _table.destination == destination,
            _table.state == _WAITING,
            _table.priority == priority,
            _table.next_at > now,
        )
        ids += conn.scalars(later.order_by(_table.next_at).limit(WOKEN_AT_ONCE - len(ids)))
        if len(ids) == WOKEN_AT_ONCE:
            break
    return _move(conn, _table.id.in_(ids), now, _WAITING, "link_restored", {"next_at": _old_place(now)})


def bring_forward(conn: Connection, which: Which, cause: str, now: float) -> int:
    """Their destination has spoken: due at once, in their old place. Returns how many that wait were moved.

    What is leased is due as soon as its attempt ends without a failure, so nothing that is said meanwhile is missed.
    """
    due = {"next_at": _old_place(now)}
    conn.execute(update(deliveries).where(_chosen(which), _table.state == _LEASED).values(**due))
    return _move(conn, _chosen(which) & (_table.state == _WAITING), now, _WAITING, cause, due)


def _chosen(which: Which) -> ColumnElement[bool]:
    return which if isinstance(which, ColumnElement) else _table.id.in_(which)


def _old_place(now: float) -> ColumnElement[float]:
    """Due since it was asked for, so that what was asked for later does not go before it."""
    return func.min(_table.created_at, now)


def _by(name: str) -> str | None:
    return f"by {name}" if name else None


def _move(
    conn: Connection,
    movable: ColumnElement[bool],
    now: float,
    state: str,
    cause: str,
    changes: dict[str, Any],
    detail: str | None = None,
) -> int:
    """Note the transition of every row, then make it. The caller's transaction holds the write lock."""
    columns = ["delivery_id", "at", "state_from", "state_to", "cause", "detail"]
    rows = select(_table.id, literal(now), _table.state, literal(state), literal(cause), literal(detail)).where(movable)
    conn.execute(delivery_events.insert().from_select(columns, rows))
    return int(conn.execute(update(deliveries).where(movable).values(state=state, **changes)).rowcount)
