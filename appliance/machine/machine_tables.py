"""What the box writes down about its machine. Times are seconds since 1970-01-01 UTC."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, Table, Text

from store_forward.database import METADATA

#: A row a minute, for the last day. What the machine did not tell, or did not do, is null.
machine_minutes = Table(
    "machine_minutes",
    METADATA,
    Column("minute", Integer, primary_key=True),  # since 1970-01-01 UTC
    Column("cpu_share", Float),
    Column("memory_used_bytes", Integer),
    Column("temperature_celsius", Float),
    Column("power_w", Float),
    Column("latency_ms", Float),  # the median over the studies decided in this minute
)

#: When the clock was set, and by how much: noticed against the time since the machine was started.
clock_jumps = Table(
    "clock_jumps",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),  # after the jump
    Column("by_s", Float, nullable=False),
)

#: Since when which packs have read here: a row for each whenever they became others.
pack_uses = Table(
    "pack_uses",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("pack", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("digest", Text, nullable=False),
)

#: What the devices of this machine say of themselves, as of the last start of the triage worker.
device_abilities = Table(
    "device_abilities",
    METADATA,
    Column("device", Text, primary_key=True),
    Column("full_name", Text, nullable=False),
    Column("kinds", Text, nullable=False),  # of number, comma-separated
)

#: How far the cloud's clock is ahead of this box's, by the Date of its answers: one row.
cloud_clock = Table(
    "cloud_clock",
    METADATA,
    Column("name", Text, primary_key=True),  # always "cloud"
    Column("ahead_s", Float, nullable=False),
    Column("at", Float, nullable=False),
)
