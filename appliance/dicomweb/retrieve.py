"""WADO-RS: the files as they came, their metadata and their bulk data (PS3.18 10.4)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

import anyio.to_thread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from appliance.dicomweb.accept import Accepted, accepted, wants_json
from appliance.dicomweb.held import Held, held_instances
from appliance.dicomweb.looks import Looks
from appliance.dicomweb.opening import Unreadable, bulk_of, metadata_of, native_of
from appliance.dicomweb.parts import Part, checked_file, multipart_answer, one_piece, single_answer
from appliance.dicomweb.readers import Readers
from appliance.dicomweb.words import DICOM, DICOM_JSON, OCTETS, root_of
from store_forward.spool import Spool

_WHERE: Final = re.compile(r"[0-9A-Fa-f]{8}(/[0-9]{1,6}/[0-9A-Fa-f]{8}){0,16}")
_METADATA_AT_ONCE: Final = 50
#: Pixel Data whose bytes are its value as metadata describe it.
PLAIN: Final = frozenset({ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian})
_Value = TypeVar("_Value")


class RetrieveEndpoint:
    """Answers GET of what is held; one for the process."""

    def __init__(
        self, engine: Engine, spool: Spool, readers: Readers, most_bytes: int, public_url: str | None, looks: Looks
    ) -> None:
        self._engine, self._spool, self._readers, self._looks = engine, spool, readers, looks
        self._most_bytes, self._public_url = most_bytes, public_url

    async def held(self, request: Request) -> tuple[list[Held], int]:
        """What the path names; see ``held_instances``."""
        uids = dict(request.path_params)
        found = await anyio.to_thread.run_sync(held_instances, self._engine, self._spool, uids)
        await self._looks.retrieved(request, uids["study"])
        return found

    async def instances(self, request: Request) -> Response:
        """Every instance of the study or series, or the one: each as it is stored unless asked for otherwise."""
        found, lost = await self.held(request)
        ranges = [one for one in accepted(request) if one.kind in (DICOM, "application/*", "*/*")]
        alone = "instance" in request.path_params and bool(ranges) and not ranges[0].multipart
        if alone and ranges[0].kind == DICOM:
            return single_answer(await self._as_dicom(found[0], ranges))
        if not any(one.multipart or one.kind == "*/*" for one in ranges):
            raise HTTPException(406, f'Instances are given as multipart/related; type="{DICOM}", one also as {DICOM}.')
        syntaxes = _syntaxes(ranges)
        for one in found:
            _check_syntax(one, syntaxes)
        first = await self._as_dicom(found[0], ranges)
        return multipart_answer(DICOM, self._parts(first, found[1:], ranges), 206 if lost else 200)

    async def _parts(self, first: Part, others: Sequence[Held], ranges: list[Accepted]) -> AsyncIterator[Part]:
        yield first
        for one in others:
            yield await self._as_dicom(one, ranges)

    async def _as_dicom(self, one: Held, ranges: list[Accepted]) -> Part:
        if _check_syntax(one, _syntaxes(ranges)):
            kind = f"{DICOM}; transfer-syntax={one.transfer_syntax_uid}"
            return Part(kind, checked_file(one.path, one.file_digest))
        data = readable(await self._readers.run(native_of, one.path, self._most_bytes), 406)
        return Part(f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}", one_piece(data))

    async def metadata(self, request: Request) -> Response:
        """All but bulk data, as one JSON array."""
        wants_json(request)
        found, lost = await self.held(request)
        batches = [found[start : start + _METADATA_AT_ONCE] for start in range(0, len(found), _METADATA_AT_ONCE)]
        root = root_of(request, self._public_url)
        first = await self._metadata(batches[0], root)
        body = self._array(first, batches[1:], root)
        return StreamingResponse(body, 206 if lost else 200, media_type=DICOM_JSON)

    async def _array(self, first: str, batches: list[list[Held]], root: str) -> AsyncIterator[str]:
        yield f"[{first}"
        for batch in batches:
            yield f",{await self._metadata(batch, root)}"
        yield "]"

    async def _metadata(self, batch: list[Held], root: str) -> str:
        files = [(one.path, f"{root}{one.address}") for one in batch]
        return ",".join(readable(one) for one in await self._readers.run(metadata_of, files, self._most_bytes))

    async def bulk_data(self, request: Request) -> Response:
        """One binary value, by the address that the metadata give for it."""
        where = request.path_params["where"]
        if _WHERE.fullmatch(where) is None:
            raise HTTPException(404, "There is no such bulk data; its address stands in the metadata.")
        ranges = [one for one in accepted(request) if one.kind in (OCTETS, "application/*", "*/*")]
        if not ranges:
            raise HTTPException(406, f"Bulk data are given as {OCTETS}.")
        (one,), _ = await self.held(request)
        data = readable(await self._readers.run(bulk_of, one.path, where, self._most_bytes), 404)
        part = Part(OCTETS, one_piece(data))
        if ranges[0].kind == OCTETS and not ranges[0].multipart:
            return single_answer(part)
        return multipart_answer(OCTETS, parts_of([part]))


async def parts_of(parts: Sequence[Part]) -> AsyncIterator[Part]:
    """Parts that are at hand."""
    for part in parts:
        yield part


def readable(found: _Value | Unreadable, status: int = 500) -> _Value:
    """The value. Raises HTTPException with ``status`` when it could not be read."""
    if isinstance(found, Unreadable):
        raise HTTPException(status, f"This cannot be read out of the file as asked: {found.why}.")
    return found


def _syntaxes(ranges: Sequence[Accepted]) -> frozenset[str]:
    return frozenset(one.transfer_syntax_uid or "*" for one in ranges)


def _check_syntax(one: Held, syntaxes: frozenset[str]) -> bool:
    """True to send it as stored, False to decompress it. Raises HTTPException 406: neither was asked for."""
    if "*" in syntaxes or one.transfer_syntax_uid in syntaxes:
        return True
    if ExplicitVRLittleEndian in syntaxes:
        return False
    raise HTTPException(
        406, f"It is stored in {one.transfer_syntax_uid}; ask for that, for *, or for {ExplicitVRLittleEndian}."
    )
