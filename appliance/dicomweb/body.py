"""The body of a STOW-RS request: piece by piece into files of the spool, never whole in memory (PS3.18 10.5.1)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from appliance.dicomweb.words import DICOM, MULTIPART
from appliance.ingest.received_file import ReceivedFile
from store_forward.spool import Spool

MOST_PARTS: Final = 20_000


@dataclass(frozen=True)
class ReceivedPart:
    """One part, whole; whoever gets it moves or removes the file.

    ``refused`` is what the disk said when it did not take all of it, ``too_large`` that it was over the limit; then
    the file is not whole. ``complete`` is False when the request ended within it.
    """

    path: Path
    media_type: str
    refused: str | None
    too_large: bool
    complete: bool = True


TakePart = Callable[[ReceivedPart], None]


class _Part:
    """A part that is being received."""

    def __init__(self, spool: Spool, most_bytes: int, media_type: str) -> None:
        self.media_type = media_type
        self._file = ReceivedFile(spool)
        self._left = most_bytes
        self._too_large = False

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        self._too_large = self._too_large or self._left < 0
        if not self._too_large:
            self._file.write(data)

    def end(self, *, complete: bool) -> ReceivedPart:
        self._file.close()
        return ReceivedPart(Path(self._file.name), self.media_type, self._file.refused, self._too_large, complete)

    def drop(self) -> None:
        self._file.close()
        with contextlib.suppress(OSError):  # the sweep of the spool removes what this leaves
            Path(self._file.name).unlink(missing_ok=True)


class SingleBody:
    """A request whose body is one instance (PS3.18 8.6.1.1)."""

    def __init__(self, spool: Spool, most_bytes: int, take: TakePart) -> None:
        self._part: _Part | None = _Part(spool, most_bytes, DICOM)
        self._take = take

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        assert self._part is not None
        self._part.write(data)

    def end(self) -> None:
        """The body is over."""
        assert self._part is not None
        part, self._part = self._part, None
        self._take(part.end(complete=True))

    def drop(self) -> None:
        """The sender has gone: what is not whole is removed."""
        if self._part is not None:
            self._part.drop()


class MultipartBody:
    """A ``multipart/related`` body (RFC 2387); ``take`` is called with each part when it is whole.

    ``write`` and ``end`` raise HTTPException 400 when it is not what it says, 413 when it has too many parts.
    """

    def __init__(self, spool: Spool, most_bytes: int, take: TakePart, boundary: bytes) -> None:
        self._spool, self._most_bytes, self._take = spool, most_bytes, take
        self._part: _Part | None = None
        self._name, self._value = bytearray(), bytearray()
        self._media_type = ""
        self._parts = 0
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._header,
                    "on_headers_finished": self._open,
                    "on_part_data": lambda data, start, end: self._write(data[start:end]),
                    "on_part_end": self._whole,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise HTTPException(400, f"The boundary of the body cannot be used: {error}.") from None

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise HTTPException(
                400, "The body is not the multipart/related it says; it must begin with its boundary (RFC 2046 5.1.1)."
            ) from None

    def end(self) -> None:
        """The body is over; a part without its closing boundary counts as cut off."""
        if self._part is not None:
            part, self._part = self._part, None
            self._take(part.end(complete=False))
        elif not self._ended:
            raise HTTPException(400, "The body ends before its closing boundary; send it again.")

    def drop(self) -> None:
        """The sender has gone: what is not whole is removed."""
        if self._part is not None:
            self._part.drop()
            self._part = None

    def _begin(self) -> None:
        self._parts += 1
        self._media_type = DICOM  # a part that does not say is what the whole says it is made of
        if self._parts > MOST_PARTS:
            raise HTTPException(413, f"More than {MOST_PARTS} instances in one request; send them in several.")

    def _header(self) -> None:
        if bytes(self._name).strip().lower() == b"content-type":
            self._media_type = parse_options_header(bytes(self._value))[0].decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _open(self) -> None:
        self._part = _Part(self._spool, self._most_bytes, self._media_type)

    def _write(self, data: bytes) -> None:
        assert self._part is not None
        self._part.write(data)

    def _whole(self) -> None:
        assert self._part is not None
        part, self._part = self._part, None
        self._take(part.end(complete=True))

    def _end(self) -> None:
        self._ended = True


def body_for(content_type: str, spool: Spool, most_bytes: int, take: TakePart) -> SingleBody | MultipartBody:
    """What takes a body of this Content-Type; ``most_bytes`` is the limit of one instance.

    Raises HTTPException: 415 for what is not DICOM, 400 without a boundary.
    """
    media_type, options = parse_options_header(content_type)
    kind = media_type.decode("latin-1")
    root = options.get(b"type", DICOM.encode()).decode("latin-1").lower()
    if kind == DICOM:
        return SingleBody(spool, most_bytes, take)
    if kind != MULTIPART or root != DICOM:
        raise HTTPException(
            415, f'Send {DICOM}, or {MULTIPART}; type="{DICOM}". Metadata and bulk data apart are not taken.'
        )
    if not options.get(b"boundary"):
        raise HTTPException(400, "The Content-Type names no boundary.")
    return MultipartBody(spool, most_bytes, take, options[b"boundary"])
