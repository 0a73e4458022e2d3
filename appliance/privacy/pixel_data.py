"""The pixels of an instance and nothing that hides beside them.

Native pixels lose what follows the last one and every bit outside Bits Stored, where old systems kept
overlays (PS3.5 8.1.2). Compressed frames lose their comments. The values of the pixels do not change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from appliance.privacy.codestream import jpeg_2000_without_comments, jpeg_without_comments
from appliance.privacy.errors import CannotDeidentify

_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
#: Decoded and stored natively: one has swapped bytes, the other is lossless and larger than what we make of
#: it.
_DECODED = (ExplicitVRBigEndian, RLELossless)
_JPEG = (
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)
_JPEG_2000 = (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
_MAX_DECODED_BYTES = 1 << 30
_DECODER_ERRORS = (
    ValueError,
    RuntimeError,
    NotImplementedError,
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class CleanPixels:
    """The value of Pixel Data, its VR and the transfer syntax it is encoded in.

    ``by_pixel`` says that colours lie pixel by pixel now (Planar Configuration 0), wherever they lay before.
    """

    data: bytes
    vr: str
    transfer_syntax_uid: UID
    by_pixel: bool = False


def clean_pixels(dataset: Dataset) -> CleanPixels:
    """The pixels of ``dataset`` alone; its transfer syntax is read from its file meta information.

    Raises CannotDeidentify: ``unreadable_pixels``, ``unsupported_transfer_syntax``, ``comment_in_pixels``.
    """
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID") or ""))
    if syntax in _NATIVE:
        return _native(dataset, bytes(dataset.PixelData), by_pixel=False)
    if syntax in _DECODED:
        return _native(dataset, _decoded(dataset), by_pixel=True)
    if syntax in _JPEG or syntax in _JPEG_2000:
        return _encapsulated(dataset, syntax)
    raise CannotDeidentify("unsupported_transfer_syntax", f"nothing is known to make {syntax.name} safe")


def _native(dataset: Dataset, data: bytes, *, by_pixel: bool) -> CleanPixels:
    size = _expected_bytes(dataset)
    if len(data) < size:
        raise CannotDeidentify("unreadable_pixels", f"Pixel Data has {len(data)} bytes and needs {size}")
    allocated = int(dataset.BitsAllocated)
    values = np.frombuffer(data[:size], dtype=f"<u{allocated // 8}")
    masked = _stored_bits_only(values, dataset).tobytes()
    vr = "OB" if allocated == 8 else "OW"
    return CleanPixels(masked + b"\0" * (len(masked) % 2), vr, ExplicitVRLittleEndian, by_pixel)


def _expected_bytes(dataset: Dataset) -> int:
    """The length of native Pixel Data without padding (PS3.5 8.1.1, C.7.6.3.1.2 for 4:2:2)."""
    allocated = int(dataset.BitsAllocated)
    if allocated not in (8, 16, 32):
        raise CannotDeidentify("unreadable_pixels", f"{allocated} bits allocated are not supported")
    samples = 2 if dataset.PhotometricInterpretation == "YBR_FULL_422" else int(dataset.SamplesPerPixel)
    frames = int(dataset.get("NumberOfFrames") or 1)
    return int(dataset.Rows) * int(dataset.Columns) * samples * frames * allocated // 8


def _stored_bits_only(values: NDArray[np.unsignedinteger], dataset: Dataset) -> NDArray[np.unsignedinteger]:
    allocated, stored, high = (int(dataset[name].value) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    lowest = high - stored + 1
    if not 0 < stored <= allocated or not 0 <= lowest <= high < allocated:
        raise CannotDeidentify("unreadable_pixels", "Bits Stored and High Bit do not fit Bits Allocated")
    if stored == allocated:
        return values
    if dataset.PixelRepresentation == 1 and lowest == 0:
        shift = allocated - stored
        signed = values.astype(values.dtype.str.replace("u", "i"))
        return ((signed << shift) >> shift).view(values.dtype)
    return values & values.dtype.type(((1 << stored) - 1) << lowest)


def _decoded(dataset: Dataset) -> bytes:
    if _expected_bytes(dataset) > _MAX_DECODED_BYTES:
        raise CannotDeidentify("unreadable_pixels", f"decoded pixels would exceed {_MAX_DECODED_BYTES} bytes")
    try:
        values = pixel_array(dataset, raw=True)
    except _DECODER_ERRORS as error:
        raise CannotDeidentify("unreadable_pixels", "the pixels cannot be decoded") from error
    return bytes(values.astype(values.dtype.newbyteorder("<")).tobytes())


def _encapsulated(dataset: Dataset, syntax: UID) -> CleanPixels:
    clean = jpeg_without_comments if syntax in _JPEG else jpeg_2000_without_comments
    number = int(dataset.get("NumberOfFrames") or 1)
    try:
        frames = list(generate_frames(bytes(dataset.PixelData), number_of_frames=number))
    except _DECODER_ERRORS as error:
        raise CannotDeidentify("unreadable_pixels", "the compressed frames cannot be told apart") from error
    return CleanPixels(encapsulate([clean(frame) for frame in frames]), "OB", syntax)
