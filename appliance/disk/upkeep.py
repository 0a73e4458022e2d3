"""What a start does about the disk: a damaged database out of the way, the spool taken up, the rows compared."""

from __future__ import annotations

import threading
import time

import structlog

from appliance.disk.database_file import damage, home_lock, set_aside_database
from appliance.disk.reconcile import look_at_rows, needed_files, repair
from appliance.disk.take_up import TakeUp, begin_if_new
from appliance.home import Home, open_home
from appliance.ingest.admit import Admission
from appliance.settings import Settings
from store_forward.database import reading

log = structlog.get_logger()


def prepare_home(settings: Settings) -> Home:
    """The home of a box that is about to start, with a database that can be used.

    Raises HomeInUse when another box runs on it, DatabaseUnusable, OSError.
    """
    with home_lock(settings.home, alone=True):
        why = damage(settings.home, thorough=False)
        if why is not None:
            set_aside_database(settings.home, why, time.time())
        home = open_home(settings)
        begin_if_new(home, time.time())
        return home


class Upkeep:
    """Runs once beside reception: takes the spool up if that was begun, then looks for every file that a row needs."""

    def __init__(self, home: Home, admission: Admission) -> None:
        self._home = home
        self._take_up = TakeUp(home, admission)

    def run(self, stop: threading.Event) -> None:
        """Do it, or as much of it as can be done before ``stop``; the next start goes on. Raises OSError."""
        self._take_up.run(stop)
        with reading(self._home.engine) as connection:
            needed = needed_files(connection)
        for found in look_at_rows(self._home, needed, rehash=False):
            if stop.is_set():
                return
            repair(self._home, found, time.time())
