"""Where in a file its pixels lie, so that one frame of many is read without the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Literal

from pydicom import dcmread
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

FLOAT_PIXELS: Final = 0x7FE00008
DOUBLE_PIXELS: Final = 0x7FE00009
PIXELS: Final = 0x7FE00010
_ALL: Final = (FLOAT_PIXELS, DOUBLE_PIXELS, PIXELS)
_CHARACTER_SET: Final = 0x00080005  # the one element to keep; with none named the library keeps all


@dataclass(frozen=True)
class PixelPlace:
    """The value's first byte in the stream, and its length in bytes (0xFFFFFFFF: encapsulated, PS3.5 A.4)."""

    tag: int
    offset: int
    length: int


def pixel_element(path: Path) -> int | None:
    """The tag of the element with the pixels, None without one. Raises what damaged files raise."""
    with pixels_of(path) as (_, place):
        return None if place is None else place.tag


@contextmanager
def pixels_of(path: Path) -> Iterator[tuple[BinaryIO, PixelPlace | None]]:
    """The open file and where its pixels are; of a deflated data set, a stream of the inflated value.

    Raises what damaged files raise. The caller has looked at the header, and at the inflated size.
    """
    with path.open("rb") as stream:
        header = read_partial(stream, stop_when=_at_pixels, force=True, specific_tags=[_CHARACTER_SET])
        if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            stream.seek(0)
            value = dcmread(stream).get("PixelData") or b""
            yield BytesIO(value), PixelPlace(PIXELS, 0, len(value)) if value else None
            return
        implicit, little = header.original_encoding
        order: Literal["little", "big"] = "little" if little else "big"
        head = stream.read(8)
        if len(head) < 8:
            yield stream, None
            return
        tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
        length = head[4:] if implicit else stream.read(4)
        place = PixelPlace(tag, stream.tell(), int.from_bytes(length, order))
        yield stream, place if tag in _ALL else None


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag in _ALL
