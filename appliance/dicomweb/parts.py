"""Multipart answers, made as they are sent, and files that are checked while they are read."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread
import structlog
from starlette.responses import Response, StreamingResponse

from appliance.dicomweb.words import MULTIPART

log = structlog.get_logger()
_PIECE_BYTES: Final = 1 << 20


class DamagedFile(Exception):
    """The bytes are not those that were received. The answer is cut, so that nobody takes it for whole."""


@dataclass(frozen=True)
class Part:
    """One body with its media type, which may have parameters."""

    media_type: str
    pieces: AsyncIterator[bytes]


def multipart_answer(kind: str, parts: AsyncIterator[Part], status: int = 200) -> Response:
    """``multipart/related`` with parts of ``kind`` (RFC 2387)."""
    boundary = secrets.token_hex(16)
    content_type = f'{MULTIPART}; type="{kind}"; boundary={boundary}'
    return StreamingResponse(_joined(parts, boundary), status, media_type=content_type)


def single_answer(part: Part) -> Response:
    """One part alone, as the body itself."""
    return StreamingResponse(part.pieces, media_type=part.media_type)


async def _joined(parts: AsyncIterator[Part], boundary: str) -> AsyncIterator[bytes]:
    async for part in parts:
        yield f"\r\n--{boundary}\r\nContent-Type: {part.media_type}\r\n\r\n".encode("latin-1")
        async for piece in part.pieces:
            yield piece
    yield f"\r\n--{boundary}--\r\n".encode("latin-1")


async def one_piece(data: bytes) -> AsyncIterator[bytes]:
    """Bytes that are in memory already."""
    yield data


async def checked_file(path: Path, digest: str) -> AsyncIterator[bytes]:
    """The file piece by piece; the last one only when the SHA-256 of all is ``digest``.

    Raises DamagedFile, OSError, before the last piece.
    """
    seen, held_back = hashlib.sha256(), b""
    stream = await anyio.to_thread.run_sync(path.open, "rb")
    try:
        while piece := await anyio.to_thread.run_sync(stream.read, _PIECE_BYTES):
            await anyio.to_thread.run_sync(seen.update, piece)
            if held_back:
                yield held_back
            held_back = piece
    finally:
        stream.close()
    if seen.hexdigest() != digest:
        log.error("dicomweb.file_damaged", digest=digest)
        raise DamagedFile(digest)
    yield held_back
