"""Compressed frames: how large they say they are, and decoding of those that pydicom's plugins do not read.

pydicom with pylibjpeg and pyjpegls reads RLE, JPEG-LS, JPEG 2000 and HTJ2K. The JPEG family, from 8-bit
Baseline over 12-bit Extended to 16-bit Lossless and the retired processes, JPEG XL and Deflated Image Frame
are decoded here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
#: SOF0–SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_START_OF_SCAN, _APP0, _APP14 = 0xDA, 0xE0, 0xEE
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})

#: The JPEG processes of PS3.5 8.2.1 and PS3.6 A, retired ones too: old archives still send them.
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 52, 53, 54, 55, 56, 57, 58, 70))
_JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112))
_DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
DECODED_HERE = _JPEG | _JPEG_XL | {_DEFLATED_FRAME}


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """What the header says about one decoded frame. ``bits`` is Bits Allocated."""

    rows: int
    columns: int
    samples: int
    bits: int
    photometric_interpretation: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the decoded array."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def size_bits(self) -> int:
        """The size of the native frame, which is padded to a whole byte (PS3.5 8.1.1)."""
        return self.rows * self.columns * self.samples * self.bits

    @property
    def size_bytes(self) -> int:
        """The size of the decoded frame; one bit becomes a byte."""
        return self.rows * self.columns * self.samples * max(self.bits // 8, 1)


def stated_size(codestream: bytes) -> tuple[int, int, int] | None:
    """``(rows, columns, samples)`` stated by a JPEG, JPEG-LS or JPEG 2000 codestream; None for anything else.

    A damaged codestream can claim 3.8e12 pixels under a harmless DICOM header, and a decoder would try.
    """
    if codestream.startswith(_JPEG_START):
        return _jpeg_size(codestream)
    start = codestream.find(_J2K_START, 0, 4096)
    if start < 0:
        return None
    fields = [int.from_bytes(codestream[at : at + 4], "big") for at in range(start + 8, start + 24, 4)]
    width, height, left, top = fields
    samples = int.from_bytes(codestream[start + 40 : start + 42], "big")
    return height - top, width - left, samples


def decode_frame(codestream: bytes, transfer_syntax_uid: str, layout: FrameLayout) -> NDArray[Any]:
    """One frame as ``(rows, columns)`` or ``(rows, columns, 3)`` RGB, unsigned, in the stream's precision.

    Raises:
        RuntimeError: the decoder does not read it.
        ValueError: a deflated frame has another size than the header says.
        KeyError: the transfer syntax is not one of :data:`DECODED_HERE`.
    """
    if transfer_syntax_uid == _DEFLATED_FRAME:
        return _inflate(codestream, layout)
    if transfer_syntax_uid in _JPEG:
        return _jpeg(codestream, layout.photometric_interpretation)
    if transfer_syntax_uid in _JPEG_XL:
        decode: Callable[[bytes], NDArray[Any]] = imagecodecs.jpegxl_decode
        return decode(codestream)
    raise KeyError(transfer_syntax_uid)


def _jpeg_size(codestream: bytes) -> tuple[int, int, int] | None:
    for marker, body in _segments(codestream):
        if marker in _START_OF_FRAME and len(body) >= 6:
            return int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), body[5]
    return None


def _segments(codestream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment up to the first scan (ISO 10918-1 B.1.1.4); ends where that is not to be had."""
    at = 2
    while at + 4 <= len(codestream) and codestream[at] == 0xFF:
        marker = codestream[at + 1]
        if marker == _START_OF_SCAN:
            return
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(codestream[at + 2 : at + 4], "big")
        yield marker, codestream[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _jpeg(codestream: bytes, photometric_interpretation: str) -> NDArray[Any]:
    """Without a marker that says otherwise libjpeg takes three components for YCbCr; DICOM knows better."""
    as_it_says = photometric_interpretation == "RGB" and not _names_its_colours(codestream)
    colours = "RGB" if as_it_says else None
    decoded: NDArray[Any] = imagecodecs.jpeg8_decode(codestream, colorspace=colours, outcolorspace=colours)
    return decoded


def _names_its_colours(codestream: bytes) -> bool:
    """By a JFIF segment or a whole one of Adobe; libjpeg passes over one that was cut short."""
    return any(
        (marker == _APP0 and body[:5] == b"JFIF\0") or (marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12)
        for marker, body in _segments(codestream)
    )


def _inflate(codestream: bytes, layout: FrameLayout) -> NDArray[Any]:
    """Raw deflate (RFC 1951) around one native frame; never inflates more than the header announces."""
    wanted = -(-layout.size_bits // 8)
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(codestream, wanted + 2)
    if not wanted <= len(data) <= wanted + 1:  # frames are padded to an even length
        raise ValueError(f"the deflated frame holds {len(data)} bytes, the header says {wanted}")
    if layout.bits == 1:
        return unpacked(data, layout)
    flat = np.frombuffer(data[:wanted], dtype=f"<u{layout.bits // 8}")
    return flat.reshape(layout.shape)


def unpacked(data: bytes, layout: FrameLayout) -> NDArray[np.uint8]:
    """Cells of one bit, from the lowest bit of the first byte (PS3.5 8.2), as 0 and 1. Raises ValueError: too few."""
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little")
    return bits[: layout.size_bits].reshape(layout.shape)
