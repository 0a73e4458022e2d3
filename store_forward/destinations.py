"""What is known about each peer: is it there, since when, and how far have we read what it has to say."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, Connection, Float, Integer, Table, Text, case, func, select
from sqlalchemy.dialects.sqlite import insert

from store_forward.database import METADATA


class Contact(StrEnum):
    """How the last contact with a destination went."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"
    REFUSED = "refused"


destinations: Final = Table(
    "destinations",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("last_ok_at", Float),
    Column("detail", Text, nullable=False, default=""),
    Column("cursor", Integer, nullable=False, default=0),
    CheckConstraint("state IN ('unknown', 'up', 'down', 'refused')", name="destination_state"),
)


def record_contact(conn: Connection, name: str, kind: str, state: str, detail: str, now: float) -> None:
    """Note how contact with ``name`` went; ``since`` moves only when the state changes, the cursor never.

    Raises ValueError for a state that is not a Contact.
    """
    seen = Contact(state)
    new = insert(destinations).values(
        name=name,
        kind=kind,
        state=seen.value,
        since=now,
        last_ok_at=now if seen is Contact.UP else None,
        detail=detail,
        cursor=0,
    )
    old = destinations.c
    conn.execute(
        new.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "kind": new.excluded.kind,
                "state": new.excluded.state,
                "since": case((old.state == new.excluded.state, old.since), else_=new.excluded.since),
                "last_ok_at": func.coalesce(new.excluded.last_ok_at, old.last_ok_at),
                "detail": new.excluded.detail,
            },
        )
    )


def contact_of(conn: Connection, name: str) -> Contact:
    """How the last contact with ``name`` went; unknown before the first."""
    found = conn.execute(select(destinations.c.state).where(destinations.c.name == name)).scalar_one_or_none()
    return Contact(found) if found is not None else Contact.UNKNOWN


def read_cursor(conn: Connection, name: str) -> int:
    """The number of the last answer taken over from ``name``; 0 before the first."""
    found = conn.execute(select(destinations.c.cursor).where(destinations.c.name == name)).scalar_one_or_none()
    return int(found or 0)


def advance_cursor(conn: Connection, name: str, cursor: int) -> None:
    """Note, in the transaction that writes the answers, how far they have been taken over.

    It never goes back. Does nothing for a destination that ``record_contact`` has not made yet.
    """
    table = destinations
    conn.execute(table.update().where(table.c.name == name, table.c.cursor < cursor).values(cursor=cursor))
