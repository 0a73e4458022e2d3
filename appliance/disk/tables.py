"""What the box writes down about its disk. Times are seconds since 1970-01-01 UTC, sizes bytes."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, Table, Text

from store_forward.database import METADATA

#: How much room the disk has, as the receiver sees it: one row, written when the level changes.
disk_room = Table(
    "disk_room",
    METADATA,
    Column("name", Text, primary_key=True),  # always "spool"
    Column("room", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("free_bytes", Integer, nullable=False),
)

#: What came onto the disk and what left it, by day since 1970-01-01 UTC.
disk_days = Table(
    "disk_days",
    METADATA,
    Column("day", Integer, primary_key=True),
    Column("received_bytes", Integer, nullable=False),
    Column("made_bytes", Integer, nullable=False),
    Column("deleted_bytes", Integer, nullable=False),
)
