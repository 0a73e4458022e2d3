"""A study as a ZIP: its DICOM files as they came, its results, and a DICOMDIR where one can be made.

The archive is written while it is sent, a piece at a time, so its size costs no memory.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import anyio.to_thread
import structlog
from sqlalchemy import select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from appliance.audit import events
from appliance.audit.kept import patient_of
from appliance.audit.trail import record
from appliance.dicomweb.held import held_instances
from appliance.dicomweb.readers import Readers
from appliance.history import record_event
from appliance.labels import NOBODY
from appliance.results.media import directory_of
from appliance.schema import studies
from appliance.triage.deliveries import ESCALATIONS
from appliance.web.language import gettext as _
from appliance.web.people import Role, address_of
from appliance.web.site import Site
from store_forward.database import reading, writing
from store_forward.outbox import deliveries

log = structlog.get_logger()
_PIECE_BYTES: Final = 1 << 20
#: A study of more files gets no DICOMDIR: making it opens every header before the first byte goes out.
MOST_LISTED: Final = 1000
_README: Final = """\
Exported by Scanside. Research use only, not for diagnosis.
DICOMDIR names the files in the folder beside it, if there is one. Files in OTHER cannot stand in a DICOMDIR.
"""


def export_routes(site: Site, readers: Readers) -> list[Route]:
    """One route: the download."""
    return [Route("/studies/{uid:path}/export.zip", Export(site, readers).answer)]


@dataclass(frozen=True)
class Member:
    """One file of the archive."""

    name: str
    path: Path


class Export:
    """Answers the download of a study; one for the process."""

    def __init__(self, site: Site, readers: Readers) -> None:
        self._site, self._readers = site, readers

    async def answer(self, request: Request) -> Response:
        """The ZIP, for operators who see patients; who took it stands in the history before the first byte goes."""
        person = self._site.person(request, Role.OPERATOR)
        if not person.sees_patients:
            raise HTTPException(403, _("This is not open to your role."))
        uid = request.path_params["uid"]
        paths = await anyio.to_thread.run_sync(self._paths, uid)
        directory, names = await self._directory(paths)
        address = address_of(request)
        await anyio.to_thread.run_sync(self._record, uid, person.name, address, len(paths))
        members = [
            Member(name or f"OTHER/{number:08}.dcm", path)
            for number, (name, path) in enumerate(zip(names, paths, strict=True), 1)
        ]
        headers = {"Content-Disposition": 'attachment; filename="study.zip"'}
        return StreamingResponse(zipped(members, directory), media_type="application/zip", headers=headers)

    async def _directory(self, paths: list[Path]) -> tuple[bytes, list[str]]:
        if len(paths) > MOST_LISTED:
            return b"", [""] * len(paths)
        try:
            return await self._readers.run(directory_of, paths, self._site.settings.limits.max_decoded_bytes)
        except HTTPException:
            log.warning("export.no_directory", files=len(paths))
            return b"", [""] * len(paths)

    def _paths(self, uid: str) -> list[Path]:
        found, _lost = held_instances(self._site.engine, self._site.spool, {"study": uid})
        c = deliveries.c
        results = (c.subject == uid) & (c.content_type == "application/dicom") & c.kind.not_in(ESCALATIONS)
        with reading(self._site.engine) as connection:
            revision = connection.execute(
                select(studies.c.revision).where(studies.c.study_instance_uid == uid)
            ).scalar()
            query = select(c.payload).where(results, c.revision == revision).order_by(c.id)
            payloads = dict.fromkeys(connection.execute(query).scalars())
        made = [self._site.spool.file(digest) for digest in payloads]
        return [*(one.path for one in found), *(path for path in made if path.exists())]

    def _record(self, uid: str, person: str, address: str, files: int) -> None:
        now, who = self._site.clock(), person or NOBODY
        with writing(self._site.engine) as connection:
            record_event(connection, uid, now, "exported", f"{files} files: {who}")
            taken = events.exported(who, address, uid, patient_of(connection, uid), "a ZIP from the study page")
            record(connection, taken, now)


def zipped(members: list[Member], directory: bytes) -> Iterator[bytes]:
    """The archive piece by piece. A file that ends or is missing on the way breaks the archive off, never pads it."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED) as archive:
        for name, data in (("README.txt", _README.encode()), ("DICOMDIR", directory)):
            if data:
                archive.writestr(_info(name), data)
                yield sink.taken()
        for member in members:
            with member.path.open("rb") as file, archive.open(_info(member.name), "w", force_zip64=True) as target:
                while piece := file.read(_PIECE_BYTES):
                    target.write(piece)
                    yield sink.taken()
    yield sink.taken()


def _info(name: str) -> ZipInfo:
    return ZipInfo(name, time.gmtime()[:6])


class _Sink(io.RawIOBase):
    """Takes what the archive writes and hands it on; it cannot be gone back in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: object) -> int:
        """Keep a piece until it is taken."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def taken(self) -> bytes:
        """Everything since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
