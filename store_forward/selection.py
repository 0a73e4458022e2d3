"""Which deliveries a person means, and the ways to look at them that stay quick however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select, true

from store_forward.deliveries import DeliveryState, deliveries, delivery_events

_table = deliveries.c


@dataclass(frozen=True)
class Selection:
    """The deliveries that fit everything which is given; all of them when nothing is.

    ``created_before`` in epoch seconds.
    """

    ids: tuple[int, ...] = ()
    destination: str | None = None
    state: DeliveryState | None = None
    cause: str | None = None
    created_before: float | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """What a row must fulfil."""
        wanted: list[ColumnElement[bool]] = [true()]
        if self.ids:
            wanted.append(_table.id.in_(self.ids))
        if self.destination is not None:
            wanted.append(_table.destination == self.destination)
        if self.state is not None:
            wanted.append(_table.state == self.state.value)
        if self.cause is not None:
            wanted.append(_table.cause == self.cause)
        if self.created_before is not None:
            wanted.append(_table.created_at <= self.created_before)
        return and_(*wanted)


def count(conn: Connection, selection: Selection) -> int:
    """How many there are."""
    return int(conn.scalar(select(func.count()).select_from(deliveries).where(selection.condition)) or 0)


def missing(conn: Connection, ids: tuple[int, ...]) -> list[int]:
    """Those of these numbers that no delivery has."""
    found = set(conn.scalars(select(_table.id).where(_table.id.in_(ids))))
    return sorted(set(ids) - found)


def first(conn: Connection, selection: Selection, limit: int, columns: tuple[str, ...]) -> list[RowMapping]:
    """Up to ``limit`` of them, the next to go first: each destination and state in its own order, then merged."""
    names = [selection.destination] if selection.destination is not None else destination_names(conn)
    states = [selection.state] if selection.state is not None else list(DeliveryState)
    shown = select(*(_table[name] for name in columns)).where(selection.condition)
    groups = [
        conn.execute(
            shown.where(_table.destination == name, _table.state == state.value)
            .order_by(_table.priority, _table.next_at, _table.id)
            .limit(limit)
        ).mappings()
        for name in names
        for state in states
    ]
    merged = merge(*groups, key=lambda row: (row["priority"], row["next_at"], row["id"]))
    return list(islice(merged, limit))


def with_events(
    conn: Connection, selection: Selection, columns: tuple[str, ...]
) -> Iterator[tuple[RowMapping, list[RowMapping]]]:
    """Each of them with its history, by number; read bit by bit."""
    query = select(*(_table[name] for name in columns)).where(selection.condition).order_by(_table.id)
    for row in conn.execution_options(yield_per=500).execute(query).mappings():
        yield row, events_of(conn, row["id"])


def events_of(conn: Connection, number: int) -> list[RowMapping]:
    """Everything that has happened to one delivery, in order."""
    event: Any = delivery_events.c
    query = select(delivery_events).where(event.delivery_id == number).order_by(event.id)
    return list(conn.execute(query).mappings())


def destination_names(conn: Connection) -> list[str]:
    """The distinct destinations of the outbox, by index searches: DISTINCT would read the whole index."""
    names: list[str] = []
    name = conn.scalar(select(func.min(_table.destination)))
    while name is not None:
        names.append(name)
        name = conn.scalar(select(func.min(_table.destination)).where(_table.destination > name))
    return names
