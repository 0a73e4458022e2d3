"""Attributes of instances, read out of their files once and then kept in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import anyio.to_thread
import structlog
from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from appliance.dicomweb.attributes import DicomJson
from appliance.dicomweb.held_tables import held_headers
from appliance.dicomweb.opening import Unreadable, headers_of
from appliance.dicomweb.readers import Readers
from store_forward.database import reading, writing
from store_forward.spool import Spool

log = structlog.get_logger()
#: So many files are read for one request at most; what was read is kept, so the next request goes on from there.
MOST_READ: Final = 2000
_BATCH: Final = 64


@dataclass(frozen=True)
class HeaderKey:
    """Which instance, and with which bytes."""

    sop_instance_uid: str
    study_instance_uid: str
    file_digest: str


class HeadersHeld:
    """For one request."""

    def __init__(
        self, engine: Engine, spool: Spool, readers: Readers, most_bytes: int, most_read: int = MOST_READ
    ) -> None:
        self._engine = engine
        self._spool = spool
        self._readers = readers
        self._most_bytes = most_bytes
        self._left = most_read

    async def of(self, keys: Sequence[HeaderKey]) -> dict[str, DicomJson]:
        """By SOP Instance UID. One whose file is lost or cannot be read is left out, and the caller knows the rest.

        Raises HTTPException 503: more files would have to be read than one request may cause.
        """
        found: dict[str, DicomJson] = {}
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            known = await anyio.to_thread.run_sync(self._kept, batch)
            missing = [key for key in batch if key.sop_instance_uid not in known]
            found |= known | (await self._read(missing) if missing else {})
        return found

    def _kept(self, keys: Sequence[HeaderKey]) -> dict[str, DicomJson]:
        c = held_headers.c
        query = select(held_headers).where(c.sop_instance_uid.in_([key.sop_instance_uid for key in keys]))
        digests = {key.sop_instance_uid: key.file_digest for key in keys}
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return {
            row.sop_instance_uid: row.attributes for row in rows if row.file_digest == digests[row.sop_instance_uid]
        }

    async def _read(self, keys: list[HeaderKey]) -> dict[str, DicomJson]:
        self._left -= len(keys)
        if self._left < 0:
            raise HTTPException(
                503, "Headers are still being read for this search; ask again, or for less.", {"Retry-After": "1"}
            )
        paths = [self._spool.file(key.file_digest) for key in keys]
        found = {}
        for key, header in zip(keys, await self._readers.run(headers_of, paths, self._most_bytes), strict=True):
            if isinstance(header, Unreadable):
                log.warning("dicomweb.header_unreadable", cause=header.why)
            else:
                found[key] = header
        await anyio.to_thread.run_sync(self._keep, found)
        return {key.sop_instance_uid: header for key, header in found.items()}

    def _keep(self, found: dict[HeaderKey, DicomJson]) -> None:
        try:
            self._write(found)
        except OperationalError as error:  # a full disk is no reason not to answer
            log.warning("dicomweb.headers_not_kept", kind=type(error.orig).__name__)

    def _write(self, found: dict[HeaderKey, DicomJson]) -> None:
        with writing(self._engine) as connection:
            for key, header in found.items():
                row = insert(held_headers).values(
                    sop_instance_uid=key.sop_instance_uid,
                    study_instance_uid=key.study_instance_uid,
                    file_digest=key.file_digest,
                    attributes=header,
                )
                changed = {"file_digest": row.excluded.file_digest, "attributes": row.excluded.attributes}
                connection.execute(row.on_conflict_do_update(index_elements=["sop_instance_uid"], set_=changed))
