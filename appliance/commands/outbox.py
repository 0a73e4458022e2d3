"""``scanside outbox``: look at deliveries, make them due, set them aside."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Engine, select

from appliance.standby.view import holds
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import deliveries
from store_forward.selection import Selection, count, events_of, first, missing

SHOWN: Final = (
    "id", "state", "priority", "kind", "destination", "subject", "revision", "payload", "size_bytes", "attempts",
    "next_at", "cause", "detail", "receipt", "created_at", "settled_at",
)  # fmt: skip


class NoSuchDelivery(Exception):
    """A number was given that no delivery has. Nothing was changed."""

    def __init__(self, numbers: list[int]) -> None:
        shown = ", ".join(map(str, numbers))
        super().__init__(f"there is no delivery {shown}; scanside outbox list shows all")


def list_deliveries(engine: Engine, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """Up to ``limit`` deliveries, the next to go first; ``held`` is what waits for the other box of two to send it."""
    with reading(engine) as connection:
        held = holds(connection)
        rows = first(connection, selection, limit, SHOWN)
        return [dict(row) | {"held": held and row["state"] == "waiting"} for row in rows]


def show_delivery(engine: Engine, number: int) -> dict[str, Any]:
    """One delivery with its history. Raises NoSuchDelivery."""
    with reading(engine) as connection:
        query = select(*(deliveries.c[name] for name in SHOWN)).where(deliveries.c.id == number)
        row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NoSuchDelivery([number])
        return dict(row) | {"events": [dict(event) for event in events_of(connection, number)]}


def retry_deliveries(engine: Engine, selection: Selection) -> tuple[int, int]:
    """Make these due now; returns how many were moved and how many left as they are. Raises NoSuchDelivery."""
    with writing(engine) as connection:
        _require_known(connection, selection)
        matching = count(connection, selection)
        moved = outbox.retry(connection, selection.condition, time.time())
    return moved, matching - moved


def park_deliveries(engine: Engine, selection: Selection) -> tuple[int, int]:
    """Set these aside; returns how many were moved and how many left as they are. Raises NoSuchDelivery."""
    with writing(engine) as connection:
        _require_known(connection, selection)
        matching = count(connection, selection)
        moved = outbox.park(connection, selection.condition, "parked_by_person", time.time())
    return moved, matching - moved


def _require_known(connection: Any, selection: Selection) -> None:
    if selection.ids and (unknown := missing(connection, selection.ids)):
        raise NoSuchDelivery(unknown)


def moved_text(moved: int, left: int, words: str, why_left: str) -> str:
    """How many were moved, and why the others were not, for a person."""
    return f"{moved} {words}" + (f", {left} left as they are: {why_left}" if left else "")


def as_line(row: dict[str, Any]) -> str:
    """One delivery for a person."""
    words = "held: the other box sends" if row.get("held") else row["cause"] or ""
    size = row["size_bytes"] / 1e6
    number = f"{row['id']:>7} {row['state']:<9} p{row['priority']}"
    return f"{number} {row['kind']:<15} {row['destination']:<12} {size:8.2f} MB  {words}"


def as_text(found: dict[str, Any]) -> str:
    """One delivery with its history for a person."""
    lines = [f"{name:<12} {found[name]}" for name in SHOWN if found[name] is not None]
    for event in found["events"]:
        at = datetime.fromtimestamp(event["at"], UTC).isoformat(timespec="seconds")
        lines.append(f"  {at}  {event['state_from'] or '·'} → {event['state_to']}  {event['cause'] or ''}".rstrip())
    return "\n".join(lines)
