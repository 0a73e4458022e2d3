"""What a box remembers of the other of two: tables of its own in the box's database.

Times of ``heard`` are of the monotonic clock, which every process of one boot shares and nobody sets.
"""

from __future__ import annotations

import secrets
import time
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Boolean, CheckConstraint, Column, Connection, Float, Integer, Row, Table, Text, select, update
from sqlalchemy.dialects.sqlite import insert

from store_forward.boot import boot_id
from store_forward.database import METADATA


class Turn(StrEnum):
    """Whether a standby holds its deliveries or carries them."""

    STANDING_BY = "standing_by"
    STANDING_IN = "standing_in"


#: What the other box has settled, kept before that box is told so. ``kind`` is empty for all there is to carry to
#: this destination about these images.
settled_elsewhere: Final = Table(
    "settled_elsewhere",
    METADATA,
    Column("study_instance_uid", Text, primary_key=True),
    Column("images_digest", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    Column("receipt", Text, nullable=False),
    Column("told_at", Float, nullable=False),
)

#: One row. ``log`` names this database's history; a history of another name is read from its beginning.
standing: Final = Table(
    "standing",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("log", Text, nullable=False),
    # on the standby
    Column("turn", Text),
    Column("since", Float),
    Column("trouble", Text, nullable=False, default=""),
    Column("differences", Text, nullable=False, default=""),
    Column("first_log", Text, nullable=False, default=""),
    Column("read_deliveries", Integer, nullable=False, default=0),
    Column("read_studies", Integer, nullable=False, default=0),
    Column("told_deliveries", Integer, nullable=False, default=0),
    # on the first
    Column("session", Text, nullable=False, default=""),
    Column("told_session", Text, nullable=False, default=""),
    Column("other_stands_in", Boolean, nullable=False, default=False),
    Column("heard_s", Float),
    Column("heard_boot", Text),
    Column("heard_at", Float),
    Column("still", Boolean, nullable=False, default=False),
    CheckConstraint("id = 1", name="standing_single"),
)


def standing_row(connection: Connection) -> Row[Any] | None:
    """The row, if this box has ever had another beside it."""
    return connection.execute(select(standing)).one_or_none()


def ensure_standing(connection: Connection) -> Row[Any]:
    """The row, made at first need inside the caller's write transaction."""
    row = standing_row(connection)
    if row is not None:
        return row
    connection.execute(insert(standing).values(id=1, log=secrets.token_hex(8)).on_conflict_do_nothing())
    return connection.execute(select(standing)).one()


def remember(connection: Connection, **values: object) -> None:
    """Change columns of the row; nothing is written when they hold that already."""
    row = ensure_standing(connection)
    if any(getattr(row, name) != value for name, value in values.items()):
        connection.execute(update(standing).values(**values))


def heard_ago_s(row: Row[Any]) -> float | None:
    """How long ago the other box was last heard, s; None when it was not in this boot of the machine."""
    if row.heard_s is None or row.heard_boot != boot_id():
        return None
    return max(time.monotonic() - float(row.heard_s), 0.0)
