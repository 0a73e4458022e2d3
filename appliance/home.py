"""The folder a box lives in: database, spool and site key, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from appliance import labels as labels  # its tables must be known before the database is made
from appliance import schema as schema  # its tables must be known before the database is made
from appliance import study_index as study_index  # likewise
from appliance.audit import trail as trail  # likewise
from appliance.box_key import home_keys
from appliance.dicomweb import held_tables as held_tables  # likewise
from appliance.disk import tables as tables  # likewise
from appliance.disk.database_file import DATABASE
from appliance.ingest import commitment_requests as commitment_requests  # likewise
from appliance.ingest import step_tables as step_tables  # likewise
from appliance.machine import machine_tables as machine_tables  # likewise
from appliance.people.tables import users as users  # likewise
from appliance.privacy.package import site_key
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


def site_key_of(settings: Settings) -> bytes:
    """The site key of a box whose home is not open.

    Raises KeyUnusable, SiteKeyUnusable, OSError.
    """
    keys = home_keys(settings)
    return site_key(settings.home / SITE_KEY, keys.seal if keys else None)


def open_home(settings: Settings) -> Home:
    """Open, and at first start make, the box's home.

    Raises:
        KeyUnusable: the home is sealed, and its key is missing or another.
        DatabaseUnusable: the database is damaged, of another version, or the linked SQLite is unsafe.
        OSError: the folder cannot be made or written.
    """
    folder = settings.home
    keys = home_keys(settings)
    engine = open_database(folder / DATABASE, keys.database if keys else None)
    create_schema(engine)
    marks = settings.limits.free_disk
    spool = Spool(
        folder / "spool", marks.floor_bytes, marks.bulk_bytes, marks.warn_bytes, seal=keys.seal if keys else None
    )
    return Home(folder, engine, spool)
