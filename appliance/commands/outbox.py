"""``scanside outbox``: look at deliveries, make them due, set them aside."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select

from store_forward.database import reading, writing
from store_forward.outbox import deliveries, delivery_events, park, retry

_SHOWN = (
    "id", "state", "priority", "kind", "destination", "subject", "revision", "payload", "size_bytes", "attempts",
    "next_at", "cause", "detail", "receipt", "created_at", "settled_at",
)  # fmt: skip


def list_deliveries(engine: Engine, state: str | None, destination: str | None, limit: int) -> list[dict[str, Any]]:
    """Up to ``limit`` deliveries, the next to go first."""
    query = select(*(deliveries.c[name] for name in _SHOWN)).order_by(deliveries.c.priority, deliveries.c.id)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if destination is not None:
        query = query.where(deliveries.c.destination == destination)
    with reading(engine) as connection:
        return [dict(row) for row in connection.execute(query.limit(limit)).mappings()]


def show_delivery(engine: Engine, number: int) -> dict[str, Any] | None:
    """One delivery with its history, or None."""
    with reading(engine) as connection:
        row = connection.execute(
            select(*(deliveries.c[name] for name in _SHOWN)).where(deliveries.c.id == number)
        ).mappings().one_or_none()  # fmt: skip
        if row is None:
            return None
        events = connection.execute(
            select(delivery_events).where(delivery_events.c.delivery_id == number).order_by(delivery_events.c.id)
        ).mappings()
        return dict(row) | {"events": [dict(event) for event in events]}


def retry_deliveries(engine: Engine, numbers: list[int], all_parked: bool) -> int:
    """Make these due now; returns how many could be."""
    with writing(engine) as connection:
        if all_parked:
            parked = connection.execute(select(deliveries.c.id).where(deliveries.c.state == "parked")).scalars()
            numbers = [*numbers, *parked]
        return retry(connection, numbers, time.time())


def park_deliveries(engine: Engine, numbers: list[int]) -> int:
    """Set these aside; returns how many could be."""
    with writing(engine) as connection:
        return park(connection, numbers, "parked_by_person", time.time())


def as_line(row: dict[str, Any]) -> str:
    """One delivery for a person."""
    words = row["cause"] or ""
    size = row["size_bytes"] / 1e6
    number = f"{row['id']:>7} {row['state']:<9} p{row['priority']}"
    return f"{number} {row['kind']:<15} {row['destination']:<12} {size:8.2f} MB  {words}"


def as_text(found: dict[str, Any]) -> str:
    """One delivery with its history for a person."""
    lines = [f"{name:<12} {found[name]}" for name in _SHOWN if found[name] is not None]
    for event in found["events"]:
        at = datetime.fromtimestamp(event["at"], UTC).isoformat(timespec="seconds")
        lines.append(f"  {at}  {event['state_from'] or '·'} → {event['state_to']}  {event['cause'] or ''}".rstrip())
    return "\n".join(lines)
