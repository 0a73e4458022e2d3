"""DICOMDIRs in the watched folder: each stays until what it names is held, and says so when it never comes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from appliance.ingest.admit import Admission
from appliance.ingest.copied import copied
from appliance.ingest.media_directory import NAME, DirectoryUnusable, Reference, read_directory
from store_forward.spool import Spool

log = structlog.get_logger()
INCOMPLETE = "media_incomplete"
_MOST_NAMED = 5
_PAUSE_S = 0.0001  # for each file that is awaited: so long the database is left alone


@dataclass
class _Waiting:
    changed_ns: int
    references: list[Reference]
    lost: set[str]
    since: float
    asked_at: float | None = None


class FolderDirectories:
    """Knows the directories of one folder from look to look; a restart begins their waiting anew."""

    def __init__(self, admission: Admission, spool: Spool, source: str) -> None:
        self._admission = admission
        self._spool = spool
        self._source = source
        self._waiting: dict[Path, _Waiting] = {}

    def forget(self) -> None:
        """While the files themselves have to wait, no directory loses patience."""
        self._waiting.clear()

    def take(self, path: Path, now: float) -> bool:
        """Look at one file; False when it is no usable directory, and is to be taken like any other file.

        Raises:
            OutOfResources: it has to be set aside, and the spool has no room.
            OSError: it cannot be read or removed.
        """
        if path.name.casefold() != NAME.casefold():
            return False
        try:
            waiting = self._known(path, now)
        except DirectoryUnusable:
            return False
        if waiting.asked_at is not None and now - waiting.asked_at < len(waiting.lost) * _PAUSE_S:
            return True
        if found := self._admission.known(waiting.lost):
            waiting.lost, waiting.since = waiting.lost - found, now
        waiting.asked_at = now
        if waiting.lost and now - waiting.since < self._admission.patience_s(self._source):
            return True
        if waiting.lost:
            self._set_aside(path, waiting.references, waiting.lost, now)
        path.unlink(missing_ok=True)
        del self._waiting[path]
        return True

    def _known(self, path: Path, now: float) -> _Waiting:
        changed_ns = path.stat().st_mtime_ns
        found = self._waiting.get(path)
        if found is None or found.changed_ns != changed_ns:
            references = read_directory(path)
            uids = {one.sop_instance_uid for one in references if one.sop_instance_uid}
            found = self._waiting[path] = _Waiting(changed_ns, references, uids, now)
        return found

    def _set_aside(self, path: Path, references: list[Reference], lost: set[str], now: float) -> None:
        names = [one.file_id for one in references if one.sop_instance_uid in lost]
        shown = ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
        detail = f"{len(names)} of {len(references)} files it names have not come in: {shown}; copy them again"
        self._admission.set_aside(copied(path, self._spool), INCOMPLETE, detail, self._source, now)
        log.warning("folder.media_incomplete", missing=len(names), named=len(references))
