"""What a start does about the disk: a damaged database out of the way, the spool taken up, the rows compared."""

from __future__ import annotations

import threading
import time

import structlog
from sqlalchemy.exc import OperationalError

from appliance.box_key import home_keys
from appliance.disk.database_file import damage, home_lock, set_aside_database
from appliance.disk.reconcile import look_at_rows, needed_files, repair
from appliance.disk.take_up import TakeUp, begin_if_new
from appliance.errors import OutOfResources
from appliance.home import Home, open_home
from appliance.settings import Settings

log = structlog.get_logger()
_PAUSE_S = 60.0


def prepare_home(settings: Settings) -> Home:
    """The home of a box that is about to start, with a database that can be used.

    Raises HomeInUse when another box runs on it, KeyUnusable, DatabaseUnusable, OSError.
    """
    with home_lock(settings.home, alone=True):
        keys = home_keys(settings)  # before anything is held to be damaged: with another key all would look so
        why = damage(settings.home, keys.database if keys else None, thorough=False)
        if why is not None:
            set_aside_database(settings.home, why, time.time())
        home = open_home(settings)
        begin_if_new(home, time.time())
        return home


class Upkeep:
    """Runs once beside reception: takes the spool up if that was begun, then looks for every file that a row needs."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._take_up = TakeUp(home, settings)

    def run(self, stop: threading.Event) -> None:
        """Do it, or as much of it as can be done before ``stop``; the next start goes on.

        A disk that does not let it must not take reception down with it: it is tried again.
        """
        while not stop.is_set():
            try:
                self._run_once(stop)
                return
            except (OSError, OperationalError, OutOfResources) as error:
                log.error("upkeep.waits", kind=type(error).__name__)
                stop.wait(_PAUSE_S)

    def _run_once(self, stop: threading.Event) -> None:
        self._take_up.run(stop)
        for found in look_at_rows(self._home, needed_files(self._home.engine), rehash=False):
            if stop.is_set():
                return
            repair(self._home, found, time.time())
