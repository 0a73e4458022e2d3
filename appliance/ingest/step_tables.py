"""What modalities have said of the procedure steps they perform. Times are seconds since 1970-01-01 UTC."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, Table, Text

from store_forward.database import METADATA


class StepState(StrEnum):
    """Performed Procedure Step Status (0040,0252), the values of PS3.3 C.4.14."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


procedure_steps: Final = Table(
    "procedure_steps",
    METADATA,
    Column("sop_instance_uid", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("calling_ae_title", Text, nullable=False),
    Column("attributes", JSON, nullable=False),  # by keyword; of those that are asked for below, what has been set
    Column("announced", Integer, nullable=False),  # images it names
    Column("begun_at", Float, nullable=False),
    Column("ended_at", Float),
)
step_studies: Final = Table(
    "step_studies",
    METADATA,
    Column("study_instance_uid", Text, primary_key=True),
    Column("step_uid", Text, ForeignKey("procedure_steps.sop_instance_uid"), primary_key=True, index=True),
)
#: Images that a step names and that are not here yet.
awaited_images: Final = Table(
    "awaited_images",
    METADATA,
    Column("sop_instance_uid", Text, primary_key=True),
    Column("step_uid", Text, ForeignKey("procedure_steps.sop_instance_uid"), primary_key=True, index=True),
)
