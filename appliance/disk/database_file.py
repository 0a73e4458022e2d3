"""The database file itself: is it whole, and if not, out of the way with it, log and all, so that the box can start.

What it held besides the images (decisions, receipts, history) stays in the file that was moved. The images are in the
spool; ``take_up`` takes them up again.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlcipher3.dbapi2 as sqlite
import structlog

from appliance.disk.quarantine import FOLDER, stamp
from store_forward.database import unlock
from store_forward.durable import make_folder, sync_folder, write_durably
from store_forward.errors import DatabaseUnusable

log = structlog.get_logger()
DATABASE = "scanside.db"
_LOCK = "box.lock"
#: Says that moving the files has begun; without it a kill in between could leave a database without its log.
_MOVING = "scanside.db.moving"
#: The log before the database: a new database beside an old log would be filled from it.
_PARTS = (f"{DATABASE}-wal", f"{DATABASE}-shm", DATABASE)
_WAIT_S = 15.0


class HomeInUse(DatabaseUnusable):
    """A running box uses this home folder; what needs it alone is not done."""


@contextmanager
def home_lock(home: Path, *, alone: bool, wait_s: float = _WAIT_S) -> Iterator[None]:
    """Hold the home folder, together with the other processes of the box or alone.

    The kernel lets go of it however a process ends. Raises HomeInUse when it cannot be had within ``wait_s``.
    """
    make_folder(home)
    give_up = time.monotonic() + wait_s
    with (home / _LOCK).open("w") as file:
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > give_up:
                    raise HomeInUse("a running box uses this home folder", "Stop it first, or let it do it.") from error
                time.sleep(0.05)
        yield


def damage(home: Path, key: bytes | None = None, *, thorough: bool) -> str | None:
    """What is wrong with the database file, in SQLite's words; None when it is whole or not there.

    ``key`` is what it is encrypted with: with another one it looks damaged. ``thorough`` also compares every index
    with its table. Raises DatabaseUnusable when the file cannot be read at the moment, which is no proof of damage.
    """
    if (home / _MOVING).exists():
        return "it is being set aside already"
    path = home / DATABASE
    if not path.exists():
        return None
    try:
        connection = sqlite.connect(str(path))
        try:
            unlock(connection, key)
            rows = connection.execute(f"PRAGMA {'integrity_check' if thorough else 'quick_check'}(5)").fetchall()
        finally:
            connection.close()
    except sqlite.OperationalError as error:
        repair = "Nothing was moved. Look at the disk, its mount and its permissions, then start again."
        raise DatabaseUnusable(f"the database cannot be read ({error})", repair) from error
    except sqlite.DatabaseError as error:
        return str(error)
    words = "; ".join(str(row[0]) for row in rows)
    return None if words == "ok" else words


def set_aside_database(home: Path, why: str, now: float) -> Path:
    """Move the database whole, with its log, to ``quarantine/``; only while alone. Returns where. Raises OSError."""
    marker = home / _MOVING
    if not marker.exists():
        write_durably(marker, f"{stamp(now)}-database".encode())
    folder = home / FOLDER / marker.read_text(encoding="utf-8")
    make_folder(folder)
    reason = folder / "reason.txt"
    if not reason.exists():
        write_durably(reason, f"{stamp(now)} the database was damaged: {why}\n".encode())
    for name in _PARTS:
        if (home / name).exists():
            (home / name).rename(folder / name)
    sync_folder(folder)
    sync_folder(home)
    marker.unlink()
    sync_folder(home)
    log.error("database.set_aside", folder=folder.name, why=why)
    return folder
