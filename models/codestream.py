"""Compressed frames: how large they say they are, and decoding of those that pydicom's plugins do not read.

pydicom with pylibjpeg and pyjpegls reads RLE, JPEG-LS, JPEG 2000 and HTJ2K. The JPEG family, from 8-bit
Baseline over 12-bit Extended to 16-bit Lossless and the retired processes, JPEG XL and Deflated Image Frame
are decoded here.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
#: SOF0–SOF15 without DHT, JPG and DAC, and SOF55 of JPEG-LS.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
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
    def size_bytes(self) -> int:
        """The size of the decoded frame."""
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
    at = 2
    while at + 10 <= len(codestream):
        if codestream[at] != 0xFF:
            return None
        marker = codestream[at + 1]
        if marker in _START_OF_FRAME:
            rows, columns = codestream[at + 5 : at + 7], codestream[at + 7 : at + 9]
            return int.from_bytes(rows, "big"), int.from_bytes(columns, "big"), codestream[at + 9]
        fill_or_alone = marker == 0xFF or marker in _ALONE
        length = int.from_bytes(codestream[at + 2 : at + 4], "big")
        at += (1 if marker == 0xFF else 2) if fill_or_alone else 2 + length
    return None


def _jpeg(codestream: bytes, photometric_interpretation: str) -> NDArray[Any]:
    """Without a marker that says otherwise libjpeg takes three components for YCbCr; DICOM knows better."""
    head = codestream[:4096]
    unmarked = b"JFIF\0" not in head and b"Adobe" not in head
    colours = "RGB" if photometric_interpretation == "RGB" and unmarked else None
    decoded: NDArray[Any] = imagecodecs.jpeg8_decode(codestream, colorspace=colours, outcolorspace=colours)
    return decoded


def _inflate(codestream: bytes, layout: FrameLayout) -> NDArray[Any]:
    """Raw deflate (RFC 1951) around one native frame; never inflates more than the header announces."""
    wanted = layout.size_bytes
    data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(codestream, wanted + 2)
    if not wanted <= len(data) <= wanted + 1:  # frames are padded to an even length
        raise ValueError(f"the deflated frame holds {len(data)} bytes, the header says {wanted}")
    flat = np.frombuffer(data[:wanted], dtype=f"<u{max(layout.bits // 8, 1)}")
    if layout.samples == 1:
        return flat.reshape(layout.rows, layout.columns)
    return flat.reshape(layout.rows, layout.columns, layout.samples)
