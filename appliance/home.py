"""The folder a box lives in: database, spool and site key, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from appliance import labels as labels  # its tables must be known before the database is made
from appliance import schema as schema  # its tables must be known before the database is made
from appliance import study_index as study_index  # likewise
from appliance.audit import trail as trail  # likewise
from appliance.dicomweb import held_tables as held_tables  # likewise
from appliance.disk import tables as tables  # likewise
from appliance.disk.database_file import DATABASE
from appliance.ingest import commitment_requests as commitment_requests  # likewise
from appliance.ingest import step_tables as step_tables  # likewise
from appliance.machine import machine_tables as machine_tables  # likewise
from appliance.people.tables import users as users  # likewise
from appliance.results import commitments as commitments  # likewise
from appliance.results import probe_book as probe_book  # likewise
from appliance.settings import Settings
from appliance.standby import state as state  # likewise
from appliance.triage import person_tables as person_tables  # likewise
from store_forward import outbox as outbox  # likewise
from store_forward.database import create_schema, open_database
from store_forward.spool import Spool

DEVICES_CACHE = "devices.json"
SITE_KEY = "site.key"


@dataclass(frozen=True)
class Home:
    """What every process of one box shares: SQLite and the spool, nothing else."""

    folder: Path
    engine: Engine
    spool: Spool

    @property
    def site_key_path(self) -> Path:
        """32 random bytes that key this site's pseudonyms; never leaves the box."""
        return self.folder / SITE_KEY

    @property
    def devices_cache(self) -> Path:
        """Which backend won the measurement, per pack."""
        return self.folder / DEVICES_CACHE


def open_home(settings: Settings) -> Home:
    """Open, and at first start make, the box's home.

    Raises:
        DatabaseUnusable: the database is damaged, of another version, or the linked SQLite is unsafe.
        OSError: the folder cannot be made or written.
    """
    folder = settings.home
    engine = open_database(folder / DATABASE)
    create_schema(engine)
    marks = settings.limits.free_disk
    return Home(folder, engine, Spool(folder / "spool", marks.floor_bytes, marks.bulk_bytes, marks.warn_bytes))
