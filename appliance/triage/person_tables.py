"""What people have asked the triage worker for, kept until it is done."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, Table, Text

from store_forward.database import METADATA

#: ``attempts`` are counted before the archive is made: pixels that bring the worker down are not tried for ever.
asked_escalations: Final = Table(
    "asked_escalations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", Text, ForeignKey("studies.study_instance_uid"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("person", Text, nullable=False, default=""),
    Column("asked_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("done_at", Float),
    Index("asked_escalations_to_do", "done_at"),
)
