"""What QIDO-RS answers from: attributes read out of the files that are held, kept so that each is read once."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Table, Text

from store_forward.database import METADATA

#: One row an instance that was asked about. ``attributes`` are those of study, series and instance as DICOM JSON;
#: with another ``file_digest`` than the instance has now they are read again.
held_headers = Table(
    "held_headers",
    METADATA,
    Column("sop_instance_uid", Text, primary_key=True),
    Column("study_instance_uid", Text, nullable=False, index=True),
    Column("file_digest", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)
