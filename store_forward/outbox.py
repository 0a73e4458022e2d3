"""The outbox: what may happen to a delivery, as functions on the caller's own transaction.

The caller's business rows and the deliveries they cause commit together or not at all. An attempt is
counted when the lease is taken, before the work. A settlement is written only by whoever still holds the
lease: after a lease has run out and been taken by another, the first holder gets LeaseLost instead of
overwriting what is true now.

Whose turn it is stands in ``store_forward.turns``.
"""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.sqlite import insert

from store_forward.backoff import next_delay_s
from store_forward.boot import boot_id
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
from store_forward.moves import NO_LEASE, park, retry, take_back, wake
from store_forward.traffic import count_attempt
from store_forward.turns import LONGEST_LEASE_S, LONGEST_PAUSE_S, next_due

__all__ = [
    "LONGEST_LEASE_S",
    "LONGEST_PAUSE_S",
    "Contact",
    "Delivery",
    "DeliveryRequest",
    "DeliveryState",
    "Depth",
    "LeaseLost",
    "advance_cursor",
    "any_due",
    "awaiting",
    "contact_of",
    "deferred",
    "delivered",
    "deliveries",
    "delivery_events",
    "depth",
    "destinations",
    "due_again_at",
    "enqueue",
    "extend",
    "lease",
    "park",
    "read_cursor",
    "record_contact",
    "refused",
    "released",
    "retry",
    "take_back",
    "wake",
]

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


def lease(
    conn: Connection,
    destination: str,
    owner: str,
    now: float,
    lease_s: float,
    *,
    boot: str | None = None,
    least_urgent: int | None = None,
) -> Delivery | None:
    """Take the next delivery for ``destination``, and count the attempt; None when none is due.

    ``owner`` must be unique to one worker of one process; ``boot`` is the machine's present boot unless
    given. ``least_urgent`` is the highest priority number that may be taken. Raises ValueError for a lease
    that is not between 0 and LONGEST_LEASE_S.
    """
    if not 0 < lease_s <= LONGEST_LEASE_S:
        raise ValueError(f"a lease lasts between 0 and {LONGEST_LEASE_S} seconds")
    boot = boot or boot_id()
    row = next_due(conn, destination, now, boot, least_urgent)
    if row is None:
        return None
    leased = Delivery(
        **request_of(row),
        id=row.id,
        attempts=row.attempts + 1,
        failures=row.failures,
        lease_owner=owner,
        lease_until=now + lease_s,
        leased_at=now,
        created_at=row.created_at,
    )
    held = {"lease_owner": owner, "lease_until": leased.lease_until, "lease_boot": boot}
    changes = {"state": _LEASED, "attempts": leased.attempts, **held}
    conn.execute(update(deliveries).where(_table.id == row.id).values(**changes))
    if row.state == _LEASED:
        _note(conn, row.id, now, _LEASED, _LEASED, "lease_expired" if row.lease_boot == boot else "machine_restarted")
    else:
        _note(conn, row.id, now, row.state, _LEASED)
    return leased


def extend(conn: Connection, delivery: Delivery, now: float, lease_s: float) -> Delivery:
    """Hold the lease for ``lease_s`` more seconds from ``now``; for long transfers. Raises LeaseLost."""
    longer = replace(delivery, lease_until=now + min(lease_s, LONGEST_LEASE_S))
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
    failures = delivery.failures + 1
    pause_s = max(next_delay_s(failures, rng, cap_s=cap_s), retry_after_s or 0.0)
    pause_s = min(pause_s, LONGEST_PAUSE_S)
    changes = {"next_at": now + pause_s, "failures": failures, "cause": cause, "detail": detail}
    _settle(conn, delivery, now, _WAITING, changes)
    return pause_s


def released(conn: Connection, delivery: Delivery, cause: str, now: float) -> None:
    """Our own side broke the attempt off: due at once and in its old place. Raises LeaseLost.

    The attempt stays counted; it is no failure, and makes no later pause longer.
    """
    _settle(conn, delivery, now, _WAITING, {"next_at": func.min(_table.next_at, now), "cause": cause, "detail": None})


def due_again_at(conn: Connection, delivery: Delivery, at: float) -> None:
    """Say under the lease when it is due again, should it end in :func:`awaiting`. Raises LeaseLost."""
    _while_held(conn, delivery, {"next_at": at})


def awaiting(conn: Connection, delivery: Delivery, cause: str, detail: str, now: float) -> None:
    """It has arrived, and waits for the other side's word; no failure. Raises LeaseLost.

    Due at the time that :func:`due_again_at` gave, or at once if :func:`store_forward.moves.bring_forward` came since.
    """
    _settle(conn, delivery, now, _WAITING, {"cause": cause, "detail": detail})


def refused(conn: Connection, delivery: Delivery, cause: str, detail: str, now: float) -> None:
    """The destination will never take it: parked, for a person to look at. Raises LeaseLost."""
    _settle(conn, delivery, now, _PARKED, {"cause": cause, "detail": detail, "settled_at": now})


def any_due(
    conn: Connection, destination: str, now: float, *, boot: str | None = None, least_urgent: int | None = None
) -> bool:
    """Whether :func:`lease` would find something; a read, so that an idle lane never takes the write lock."""
    return next_due(conn, destination, now, boot or boot_id(), least_urgent) is not None


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
    _while_held(conn, delivery, {"state": state, **NO_LEASE, **changes})
    duration_ms = max(now - delivery.leased_at, 0.0) * 1000.0  # a clock may have been set back meanwhile
    count_attempt(conn, delivery, now, state, changes.get("cause"), duration_ms)
    _note(conn, delivery.id, now, _LEASED, state, changes.get("cause"), changes.get("detail"), duration_ms)


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
