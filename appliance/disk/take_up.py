"""A new database with a spool that holds files: every image is admitted again, so that nothing received is lost.

Results the box itself made are not images of the study; they are put away and made again when the study is read.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
from pydicom import dcmread
from sqlalchemy import Connection, insert, select, update

from appliance.disk.quarantine import Trouble, put_away
from appliance.disk.reconcile import known_digests
from appliance.disk.tables import quarantined, take_ups
from appliance.errors import OutOfResources, ReceiveError
from appliance.home import Home
from appliance.ingest.admit import Admission
from appliance.results.report_content import MANUFACTURER
from appliance.schema import instances, set_aside
from appliance.settings import Settings
from models.tolerant_reading import DAMAGED
from store_forward.database import reading, writing
from store_forward.spool import DIGEST, Spool

log = structlog.get_logger()
SOURCE = "SPOOL"
_NOT_DICOM = (b"\x89PNG\r\n\x1a\n", b"PK\x03\x04")


def begin_if_new(home: Home, now: float) -> bool:
    """Note that the spool has to be taken up when the database knows nothing and the spool holds something."""
    with writing(home.engine) as connection:
        if any(connection.execute(select(table).limit(1)).first() for table in (instances, set_aside, take_ups)):
            return False
        if next(_objects(home.spool.root), None) is None:
            return False
        connection.execute(insert(take_ups).values(begun_at=now))
    log.warning("spool.take_up_begun")
    return True


def is_open(connection: Connection) -> bool:
    """Whether files of the spool may still be waiting to be taken up."""
    return connection.execute(select(take_ups.c.id).where(take_ups.c.done_at.is_(None))).first() is not None


class TakeUp:
    """Admits what lies in the spool, in the order in which it came. It can be ended and begun again at any point."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        # What lies in the spool already needs no room: a disk at its floor is no reason to wait.
        no_floor = Spool(home.spool.root, 0, seal=home.spool.seal)
        self._admission = Admission(home.engine, no_floor, settings.limits, settings.dicom)

    def run(self, stop: threading.Event) -> int:
        """Take up all there is, if that has been begun, and return how many files were taken up in all.

        Raises OutOfResources and OSError when the disk does not let it; a further call goes on.
        """
        with reading(self._home.engine) as connection:
            begun_at = connection.execute(select(take_ups.c.begun_at).where(take_ups.c.done_at.is_(None))).scalar()
            if begun_at is None:
                return 0
            known = known_digests(connection)
        studies: set[str] = set()
        by_age = sorted(_objects(self._home.spool.root), key=lambda path: (path.stat().st_mtime, path.name))
        for path in by_age:
            if stop.is_set():
                return 0
            if path.name not in known and path.exists():
                studies |= self._take(path, begun_at)
        self._admission.released(studies, SOURCE, time.time())
        with writing(self._home.engine) as connection:
            done = update(take_ups).where(take_ups.c.done_at.is_(None)).values(done_at=time.time())
            taken, put_away_ = connection.execute(done.returning(take_ups.c.taken, take_ups.c.put_away)).one()
        log.warning("spool.taken_up", files=taken, put_away=put_away_)
        return int(taken)

    def _take(self, path: Path, begun_at: float) -> set[str]:
        if DIGEST.fullmatch(path.name) is None or not self._home.spool.verify(path.name):
            self._put_away(path, Trouble.DAMAGED)
            return set()
        if _made_here(self._home.spool.content(path)):
            if path.stat().st_mtime < begun_at:
                self._put_away(path, Trouble.MADE_BEFORE)
            return set()
        temporary = self._home.spool.incoming / f"{path.name}.take-up"
        temporary.unlink(missing_ok=True)
        os.link(path, temporary)
        try:
            _, study = self._admission.admit(temporary, SOURCE, time.time())
        except OutOfResources:
            raise
        except ReceiveError as refused:
            log.warning("spool.set_aside", reason=refused.reason)
            study = ""
        self._count("taken")
        return {study} - {""}

    def _put_away(self, path: Path, trouble: Trouble) -> None:
        now = time.time()
        if trouble is Trouble.DAMAGED:
            with writing(self._home.engine) as connection:
                connection.execute(insert(quarantined).values(digest=path.name, reason=trouble, found_at=now))
        put_away(self._home.folder, path, trouble, now)
        log.warning("spool.put_away", reason=trouble.value)
        self._count("put_away")

    def _count(self, column: str) -> None:
        more = {column: take_ups.c[column] + 1}
        with writing(self._home.engine) as connection:
            connection.execute(update(take_ups).where(take_ups.c.done_at.is_(None)).values(more))


def _objects(root: Path) -> Iterator[Path]:
    return (path for path in (root / "objects").glob("*/*") if path.is_file())


def _made_here(path: Path) -> bool:
    """A picture or archive of ours, or a DICOM object that names us as its maker."""
    with path.open("rb") as file:
        if file.read(8).startswith(_NOT_DICOM):
            return True
    try:
        with path.open("rb") as file:
            header = dcmread(file, specific_tags=["Manufacturer"], stop_before_pixels=True)
            return str(header.get("Manufacturer")) == MANUFACTURER
    except DAMAGED:
        return False
