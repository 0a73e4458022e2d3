"""What the box writes down about its disk. Times are seconds since 1970-01-01 UTC, sizes bytes."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, Table, Text

from appliance.schema import instances, studies
from store_forward.database import METADATA
from store_forward.outbox import deliveries

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


class DeletionState(StrEnum):
    """``removing → removed``; ``superseded`` when an image of the study came after that."""

    REMOVING = "removing"
    REMOVED = "removed"
    SUPERSEDED = "superseded"


#: Which studies' files retention has deleted; at most one of a study is not superseded.
deletions = Table(
    "deletions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("done_at", Float),
)

#: Spool objects that go if nothing needs them by then.
removals = Table(
    "removals",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("study_instance_uid", Text, nullable=False, index=True),
)

#: Whether an object is needed is asked by its digest.
Index("instances_by_digest", instances.c.file_digest)
Index("deliveries_by_payload", deliveries.c.payload)
Index("studies_by_heat_map", studies.c.heat_map)
Index("studies_by_thumbnail", studies.c.thumbnail)

#: What was found missing or damaged and set out of the way; open until ``mended_at``.
quarantined = Table(
    "quarantined",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("study_instance_uid", Text, nullable=False, default="", index=True),
    Column("sop_instance_uid", Text, nullable=False, default=""),
    Column("found_at", Float, nullable=False),
    Column("mended_at", Float),
)

#: Every time a new database began with a spool that already held files: they are taken up again, one by one.
take_ups = Table(
    "take_ups",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("begun_at", Float, nullable=False),
    Column("done_at", Float),
    Column("taken", Integer, nullable=False, default=0),
    Column("put_away", Integer, nullable=False, default=0),
)
