"""What a receiver offers beside storage, each a module of its own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine

from appliance.audit.strangers import Strangers
from appliance.ingest.commitment_door import CommitmentDoor
from appliance.ingest.message_limit import MessageLimit
from appliance.ingest.report_door import ReportDoor
from appliance.ingest.step_door import StepDoor
from appliance.settings import Settings
from store_forward.spool import Spool


@dataclass(frozen=True)
class Services:
    """Procedure steps, storage commitment both ways, the limit on all their messages, and who was refused."""

    steps: StepDoor
    commitments: CommitmentDoor
    reports: ReportDoor
    limit: MessageLimit
    strangers: Strangers


def open_services(settings: Settings, engine: Engine, spool: Spool, supported: Collection[str]) -> Services:
    """The services of one receiver; ``supported`` are the SOP classes that are taken in."""
    return Services(
        StepDoor(engine, settings.limits),
        CommitmentDoor(settings, engine, spool, supported),
        ReportDoor(settings.pacs, engine),
        MessageLimit(settings.limits.max_message_bytes),
        Strangers(engine),
    )
