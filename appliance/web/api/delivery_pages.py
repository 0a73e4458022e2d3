"""Deliveries page by page, by searches of an index only: the outbox may hold a million."""

from __future__ import annotations

from heapq import merge
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from appliance.web.api.asking import MOST_LOOKED_AT, Place
from store_forward.deliveries import DeliveryState, deliveries
from store_forward.selection import Selection, destination_names

_c = deliveries.c


def page_of(
    conn: Connection, wanted: Selection, limit: int, after: Place | None, columns: tuple[str, ...]
) -> tuple[list[dict[str, Any]], Place | None]:
    """Up to ``limit`` of the wanted deliveries in the order of their making, and where the next page begins.

    Each destination and state is read in the order of ``deliveries_by_age``, and these are merged. No more than
    ``MOST_LOOKED_AT`` are looked at, so a page can be short and yet have a next one.
    """
    names = [wanted.destination] if wanted.destination is not None else destination_names(conn)
    states = [wanted.state] if wanted.state is not None else list(DeliveryState)
    most = limit + 1 if wanted.cause is None else MOST_LOOKED_AT + 1
    query = select(*(_c[name] for name in columns))
    if after is not None:
        at, number = after[0], int(after[1]) if after[1].isdecimal() and len(after[1]) < 19 else 0
        same_moment = and_(_c.created_at == at, _c.id > number)
        query = query.where(_c.created_at >= at, or_(_c.created_at > at, same_moment))
    groups = [
        conn.execute(
            query.where(_c.destination == name, _c.state == state.value).order_by(_c.created_at, _c.id).limit(most)
        ).mappings()
        for name in names
        for state in states
    ]
    found: list[dict[str, Any]] = []
    place: Place | None = None
    for number, row in enumerate(merge(*groups, key=lambda row: (row["created_at"], row["id"]))):
        if number == MOST_LOOKED_AT or len(found) == limit:
            return found, place
        place = float(row["created_at"]), str(row["id"])
        if wanted.cause is None or row["cause"] == wanted.cause:
            found.append(dict(row))
    return found, None
