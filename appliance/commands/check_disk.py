"""The part of ``scanside check`` that looks at database and spool, and with ``--repair`` puts them right."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.progress import track
from sqlalchemy import func, select

from appliance.box_key import home_keys
from appliance.disk.database_file import HomeInUse, damage, home_lock, set_aside_database
from appliance.disk.reconcile import (
    Found,
    look_at_rows,
    look_for_left_overs,
    look_for_orphans,
    needed_files,
    repair,
)
from appliance.disk.tables import quarantined
from appliance.disk.take_up import TakeUp, begin_if_new, is_open
from appliance.errors import OutOfResources
from appliance.home import Home, open_home
from appliance.settings import Settings
from store_forward.database import reading, sqlite_version
from store_forward.errors import DatabaseUnusable

_REPAIR = "run scanside check --repair"
_NAMED = 5


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at; ``repaired`` when it was wrong and is put right now."""

    what: str
    ok: bool
    detail: str
    repaired: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def database_result(settings: Settings, *, repair: bool) -> CheckResult:
    """Is the database file whole; with ``repair`` a damaged one is set aside and the spool taken up again."""
    try:
        keys = home_keys(settings)
        why = damage(settings.home, keys.database if keys else None, thorough=True)
        if why is None:
            words = f"SQLite {sqlite_version()}, whole, write-ahead log, every commit synced"
            return CheckResult("database", True, words)
        if not repair:
            words = "a start of the box sets it aside and takes the spool up again, and so does scanside check --repair"
            return CheckResult("database", False, f"the file is damaged: {why}; {words}")
        with home_lock(settings.home, alone=True, wait_s=0.0):
            folder = set_aside_database(settings.home, why, time.time())
            home = open_home(settings)
            begin_if_new(home, time.time())
            home.engine.dispose()
    except HomeInUse:
        return CheckResult("database", False, f"the file is damaged: {why}; stop the box, then {_REPAIR}")
    except (DatabaseUnusable, OSError) as error:
        return CheckResult("database", False, str(error))
    words = f"the file was damaged ({why}); it is kept in quarantine/{folder.name}, and the box has a new one"
    return CheckResult("database", True, words, repaired=True)


def spool_results(home: Home, settings: Settings, *, rehash: bool, repair: bool) -> list[CheckResult]:
    """Spool and rows side by side."""
    now = time.time()
    results = [_taken_up(home, settings, repair=repair)]
    results.append(_rows(home, now, rehash=rehash, repair=repair))
    with reading(home.engine) as connection:
        waiting = is_open(connection)
    if not waiting:  # until then every file may still be waiting for its row
        results.append(_orphans(home, now, repair=repair))
    return [*results, _left_overs(home, now, repair=repair), _quarantine(home)]


def _taken_up(home: Home, settings: Settings, *, repair: bool) -> CheckResult:
    with reading(home.engine) as connection:
        if not is_open(connection):
            return CheckResult("taken up", True, "nothing waits to be taken up again")
    if not repair:
        return CheckResult("taken up", False, f"files of the spool wait for a row in the new database; {_REPAIR}")
    try:
        with home_lock(settings.home, alone=True, wait_s=0.0):
            taken = TakeUp(home, settings).run(threading.Event())
    except HomeInUse:
        return CheckResult("taken up", True, "the running box is taking the spool up again")
    except (OSError, OutOfResources) as error:
        return CheckResult("taken up", False, f"the disk does not let it ({error}); mend it and try again")
    return CheckResult("taken up", True, f"{taken} files of the spool have their rows again", repaired=True)


def _rows(home: Home, now: float, *, rehash: bool, repair: bool) -> CheckResult:
    """Every row must have its file."""
    needed = list(needed_files(home.engine))
    looked = track(needed, description="reading back", console=Console(stderr=True)) if rehash else needed
    found = list(look_at_rows(home, looked, rehash=rehash))
    number = len({one.digest for one in needed})
    if not found:
        return CheckResult("spool", True, f"{number} files, {'all read back' if rehash else 'all present'}")
    words = f"of {number} files, {_counted(found)} ({_names(found)})"
    if not repair:
        return CheckResult("spool", False, f"{words}; {_REPAIR}")
    _put_right(home, found, now)
    told = "each is in its study's history; send these images again"
    return CheckResult("spool", False, f"{words}; what is left of them is in quarantine, and {told}", repaired=True)


def _orphans(home: Home, now: float, *, repair: bool) -> CheckResult:
    """Every file must have its row."""
    found = look_for_orphans(home, now)
    if not found:
        return CheckResult("without a row", True, "no file")
    words = f"{len(found)} files that nothing refers to ({_names(found)})"
    if not repair:
        return CheckResult("without a row", False, f"{words}; {_REPAIR}")
    return CheckResult("without a row", True, f"{words}, moved to quarantine: {_put_right(home, found, now)}", True)


def _left_overs(home: Home, now: float, *, repair: bool) -> CheckResult:
    """Transfers that ended in the middle were never acknowledged, so what is left of them is nobody's."""
    found = look_for_left_overs(home, now)
    if not found:
        return CheckResult("left over", True, "nothing of broken transfers")
    if not repair:
        return CheckResult("left over", False, f"{len(found)} files of transfers that broke off; {_REPAIR}")
    for path in found:
        path.unlink(missing_ok=True)
    return CheckResult("left over", True, f"{len(found)} files of transfers that broke off, removed", True)


def _quarantine(home: Home) -> CheckResult:
    with reading(home.engine) as connection:
        open_ones = select(func.count()).select_from(quarantined).where(quarantined.c.mended_at.is_(None))
        number = connection.execute(open_ones).scalar_one()
    words = f"{number} images or results are lost or damaged; their studies say so" if number else "nothing is missing"
    return CheckResult("quarantine", True, words)


def _put_right(home: Home, found: list[Found], now: float) -> int:
    return sum(repair(home, one, now) for one in found)


def _counted(found: list[Found]) -> str:
    counts = Counter(one.trouble.value for one in found)
    return ", ".join(f"{number} {trouble}" for trouble, number in sorted(counts.items()))


def _names(found: list[Found]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(one.digest[:12] for one in found[:_NAMED]) + more
