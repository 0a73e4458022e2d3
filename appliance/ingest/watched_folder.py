"""A folder whose files are taken in exactly like received instances."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import structlog

from appliance.errors import InstanceTooLarge, OutOfResources, ReceiveError
from appliance.ingest.admit import Admission
from appliance.ingest.copied import copied
from appliance.ingest.folder_directories import FolderDirectories
from store_forward.room import Room
from store_forward.spool import Spool

log = structlog.get_logger()
SOURCE = "FOLDER"


class WatchedFolder:
    """Looks at a folder again and again; a file that has stopped changing is whole.

    Polling, because it also works on network shares, where change notifications do not.
    """

    def __init__(self, folder: Path, settle_s: float, admission: Admission, spool: Spool) -> None:
        self._folder = folder
        self._settle_s = settle_s
        self._admission = admission
        self._spool = spool
        self._directories = FolderDirectories(admission, spool, SOURCE)
        self._seen: dict[Path, tuple[int, int, float]] = {}
        self._too_large: dict[Path, int] = {}  # with the time of its last change
        self._waiting = False

    def scan(self, now: float) -> int:
        """One look; returns how many files were taken in.

        Files that had to wait for disk room stay, and so does a file that cannot be read or removed, or is over its
        limit: it is the only copy there is. They wait as soon as bulk does, for they can wait where they lie.
        """
        taken, studies = 0, set()
        for path in self._settled_files(now) if self._has_room() else []:
            try:
                if self._directories.take(path, now):
                    continue
                study = self._take(path, now)
            except OutOfResources as full:
                log.warning("folder.waiting", cause=full.comment)
                self._directories.forget()
                break
            except OSError as error:
                log.warning("folder.file_stays", cause=error.strerror)
                continue
            taken += 1
            if study:
                studies.add(study)
        if studies:
            self._admission.released(studies, SOURCE, now)
        return taken

    def _has_room(self) -> bool:
        waited, self._waiting = self._waiting, self._spool.room() >= Room.NO_BULK
        if self._waiting:
            self._directories.forget()
        if self._waiting and not waited:
            log.warning("folder.waiting", cause="the disk has no room for what can wait")
        return not self._waiting

    def _settled_files(self, now: float) -> list[Path]:
        settled = []
        present = {}
        files = {path for path in self._folder.rglob("*") if path.is_file() and not path.is_symlink()}
        for path in sorted(files):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue  # taken away between the two calls
            if self._too_large.get(path) == state.st_mtime_ns:
                continue
            size, changed, since = self._seen.get(path, (-1, -1, now))
            if (size, changed) != (state.st_size, state.st_mtime_ns):
                since = now
            present[path] = (state.st_size, state.st_mtime_ns, since)
            if now - since >= self._settle_s:
                settled.append(path)
        self._seen = present
        return settled

    def _take(self, path: Path, now: float) -> str | None:
        temporary = copied(path, self._spool)
        try:
            _, study = self._admission.admit(temporary, SOURCE, now)
        except OutOfResources:
            raise
        except InstanceTooLarge as refused:
            log.warning("file.stays_where_it_is", reason=refused.reason, cause=refused.comment)
            self._too_large[path] = path.stat().st_mtime_ns
            return None
        except ReceiveError as refused:
            log.warning("file.set_aside", reason=refused.reason)
            study = None
        path.unlink(missing_ok=True)
        return study

    def watch(self, stop: threading.Event, pause_s: float = 0.5) -> None:
        """Scan until told to stop."""
        while not stop.is_set():
            self.scan(time.time())
            stop.wait(pause_s)
