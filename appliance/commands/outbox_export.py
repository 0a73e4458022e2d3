"""``scanside outbox export``: deliveries with their history, for a ticket to whoever runs the far side.

It holds what ``outbox show`` shows, and so no patient data beyond the Study Instance UID. Times are UTC.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from sqlalchemy import Engine

from appliance.commands.outbox import SHOWN, NoSuchDelivery
from store_forward.database import reading
from store_forward.selection import Selection, missing, with_events

_EVENT: Final = ("at", "state_from", "state_to", "cause", "detail", "duration_ms")
_TIMES: Final = frozenset({"at", "next_at", "created_at", "settled_at"})
_BEGINS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def export(engine: Engine, selection: Selection, out: TextIO, as_csv: bool) -> int:
    """Write them to ``out``, one JSON object a line or one row of CSV for every event; returns how many deliveries.

    Raises NoSuchDelivery before anything is written, OSError.
    """
    with reading(engine) as connection:
        if selection.ids and (unknown := missing(connection, selection.ids)):
            raise NoSuchDelivery(unknown)
        found = with_events(connection, selection, SHOWN)
        return _write_csv(found, out) if as_csv else _write_json(found, out)


def _write_json(found: Iterator[tuple[Mapping[Any, Any], list[Any]]], out: TextIO) -> int:
    written = 0
    for row, events in found:
        told = _told(row, SHOWN) | {"events": [_told(event, _EVENT) for event in events]}
        out.write(json.dumps(told, ensure_ascii=False) + "\n")
        written += 1
    return written


def _write_csv(found: Iterator[tuple[Mapping[Any, Any], list[Any]]], out: TextIO) -> int:
    written = 0
    table = csv.writer(out)
    table.writerow([*SHOWN, *(f"event_{name}" for name in _EVENT)])
    for row, events in found:
        told = list(_told(row, SHOWN).values())
        for event in events:
            table.writerow(_cell(value) for value in [*told, *_told(event, _EVENT).values()])
        written += 1
    return written


def _told(row: Mapping[Any, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _time(row[name]) if name in _TIMES else row[name] for name in names}


def _time(at: float | None) -> str | None:
    """ISO 8601; a clock may have been so wrong that no calendar has the moment."""
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return str(at)


def _cell(value: object) -> object:
    """The far side's words must not become a formula in somebody's spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_BEGINS_A_FORMULA) else value
