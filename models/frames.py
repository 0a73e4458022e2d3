"""One frame of an object's pixels as its stored values, in whichever transfer syntax it came.

Sizes are checked in the header, and in the header of the compressed frame, before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from models.codestream import DECODED_HERE, decode_frame, stated_size, unpacked
from models.errors import CannotTriage
from models.image_pixel import ImagePixel, image_pixel_of
from models.pixel_limits import DEFAULT_LIMITS, PixelLimits
from models.reasons import Reason
from models.tolerant_reading import DAMAGED, UNREADABLE, quietly

Frame = NDArray[Any]
_END_OF_IMAGE = b"\xff\xd9"
#: Encapsulated Uncompressed Explicit VR Little Endian (PS3.5 A.4.11): frames as they are, for objects over 4 GB.
_NOT_COMPRESSED = UID("1.2.840.10008.1.2.1.98")
#: All others are encapsulated; pydicom does not know the younger ones (PS3.5 A.4).
_NATIVE = frozenset(
    {ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian}
)


def stored_frame(dataset: Dataset, index: int = 0, limits: PixelLimits = DEFAULT_LIMITS) -> Frame:
    """Decode frame ``index``, from 0: ``(rows, columns)`` stored values, or ``(rows, columns, 3)`` RGB.

    Grey values and palette indices have their sign, and nothing is left of the bits that are not stored (PS3.5
    8.1.1), where old overlays stand. YBR is converted to RGB. Floating point pixels stay what they are.

    Raises:
        CannotTriage: ``no_pixel_data``, ``too_large``, ``unsupported_transfer_syntax`` or ``unreadable_pixels``, the
            last also for a frame that is not there.
    """
    pixel = checked(dataset, limits)
    if not 0 <= index < pixel.number_of_frames:
        raise CannotTriage(Reason.unreadable_pixels, f"there are {pixel.number_of_frames} frames")
    syntax, data = _source(dataset, pixel)
    with _refusing(), quietly():
        if not _is_encapsulated(syntax):
            return _native(data, pixel, syntax, index)
        frame = get_frame(data, index, number_of_frames=pixel.number_of_frames, extended_offsets=_offsets(dataset))
        return _compressed(frame, pixel, syntax)


def stored_frames(dataset: Dataset, limits: PixelLimits = DEFAULT_LIMITS) -> Iterator[Frame]:
    """All frames in their order, one decoded at a time; the same values and errors as :func:`stored_frame`."""
    pixel = checked(dataset, limits)
    syntax, data = _source(dataset, pixel)
    if not _is_encapsulated(syntax):
        yield from (stored_frame(dataset, index, limits) for index in range(pixel.number_of_frames))
        return
    number = pixel.number_of_frames
    with _refusing(), quietly():
        compressed = list(generate_frames(data, number_of_frames=number, extended_offsets=_offsets(dataset)))
    if len(compressed) < number:
        raise CannotTriage(Reason.unreadable_pixels, f"{len(compressed)} frames, the header says {number}")
    for frame in compressed[:number]:
        with _refusing(), quietly():
            decoded = _compressed(frame, pixel, syntax)
        yield decoded


def checked(dataset: Dataset, limits: PixelLimits = DEFAULT_LIMITS) -> ImagePixel:
    """What the header says of the pixels, when all of it fits together and is within ``limits``.

    Raises CannotTriage: ``no_pixel_data``, ``too_large`` or ``unreadable_pixels``.
    """
    pixel = image_pixel_of(dataset)
    pixels = pixel.rows * pixel.columns
    if pixels > limits.max_pixels:
        raise CannotTriage(Reason.too_large, f"{pixels} pixels, the limit is {limits.max_pixels}")
    if (size := pixel.layout.size_bytes) > limits.max_decoded_bytes:
        raise CannotTriage(Reason.too_large, f"{size} bytes decoded, the limit is {limits.max_decoded_bytes}")
    return pixel


@contextmanager
def _refusing() -> Iterator[None]:
    """What damaged bytes raise becomes a reason."""
    try:
        yield
    except MemoryError:
        raise CannotTriage(Reason.too_large, "decoding takes more memory than this process may have") from None
    except DAMAGED as error:
        raise CannotTriage(Reason.unreadable_pixels, type(error).__name__) from None


def _source(dataset: Dataset, pixel: ImagePixel) -> tuple[UID, bytes]:
    with quietly():
        try:
            syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID") or "").strip(" \0"))
        except UNREADABLE:
            syntax = UID("")
        if syntax not in (*DECODED_HERE, _NOT_COMPRESSED) and not _known_to_pydicom(syntax):
            raise CannotTriage(Reason.unsupported_transfer_syntax, "no decoder for it is installed")
        return syntax, dataset[pixel.keyword].value


def _is_encapsulated(syntax: UID) -> bool:
    return syntax not in _NATIVE


def _known_to_pydicom(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    """The Extended Offset Table (PS3.3 C.7.6.3.1.8)."""
    table, lengths = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    return (table, lengths) if table and lengths else None


def _native(data: bytes, pixel: ImagePixel, syntax: UID, index: int) -> Frame:
    needed = -(-pixel.frame_bits * pixel.number_of_frames // 8)
    if len(data) < needed:
        raise CannotTriage(Reason.unreadable_pixels, f"{len(data)} bytes of pixels, {needed} are needed")
    if pixel.bits_allocated == 1 or pixel.bits_allocated % 8 == 0:
        return _stored_bits(_by_pydicom(data, pixel, syntax, index, pixel.number_of_frames), pixel)
    if len(data) > needed + 1:
        raise CannotTriage(Reason.unreadable_pixels, f"{len(data)} bytes of pixels, {needed} are needed")
    return _stored_bits(_packed(data, pixel, syntax, index), pixel)


def _packed(data: bytes, pixel: ImagePixel, syntax: UID, index: int) -> Frame:
    """Cells of other than whole bytes, one after the other from the lowest bit (PS3.5 8.1.1, as it was until 2014)."""
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2" if syntax.is_little_endian else ">u2").astype("<u2")
    first, cells = index * pixel.frame_bits, pixel.rows * pixel.columns * pixel.samples
    around = words.view(np.uint8)[first // 8 : -(-(first + pixel.frame_bits) // 8)]
    bits = np.unpackbits(around, bitorder="little")[first % 8 :][: pixel.frame_bits]
    width = 1 << (pixel.bits_allocated - 1).bit_length()  # 8, 16, 32 or 64
    padded = np.zeros((cells, max(width, 8)), np.uint8)
    padded[:, : pixel.bits_allocated] = bits.reshape(cells, pixel.bits_allocated)
    values = np.packbits(padded, axis=1, bitorder="little").view(f"<u{padded.shape[1] // 8}")
    return values.reshape((pixel.rows, pixel.columns) + ((3,) if pixel.samples == 3 else ()))


def _compressed(frame: bytes, pixel: ImagePixel, syntax: UID) -> Frame:
    stated = stated_size(frame)
    if stated is not None and stated != (pixel.rows, pixel.columns, pixel.samples):
        raise CannotTriage(Reason.unreadable_pixels, "the compressed frame has another size than the header says")
    if syntax == _NOT_COMPRESSED:
        return _native(frame, replace(pixel, number_of_frames=1), ExplicitVRLittleEndian, 0)
    if syntax in DECODED_HERE:
        decoded = decode_frame(frame, syntax, pixel.layout)
        if decoded.shape[:2] != (pixel.rows, pixel.columns):
            raise CannotTriage(Reason.unreadable_pixels, "the frame has another size than the header says")
    elif syntax == RLELossless and pixel.bits_allocated == 1:
        decoded = _one_bit_rle(frame, pixel)
    else:
        if syntax in JPEGLSTransferSyntaxes and _END_OF_IMAGE not in frame:
            frame += _END_OF_IMAGE  # CharLS searches for it, for seconds after a few hundred bytes
        decoded = _by_pydicom(encapsulate([frame], has_bot=False), pixel, syntax, 0, 1)
    # JPEG 2000 says itself which precision and sign its values have, and pydicom has made them fit
    return decoded if syntax in JPEG2000TransferSyntaxes else _stored_bits(decoded, pixel)


def _one_bit_rle(frame: bytes, pixel: ImagePixel) -> Frame:
    """Eight cells to a byte (PS3.5 G.2), which the decoder only reads as bytes."""
    layout = pixel.layout
    as_bytes = replace(pixel, rows=1, columns=-(-layout.size_bits // 8), bits_allocated=8, bits_stored=8, high_bit=7)
    packed = _by_pydicom(encapsulate([frame], has_bot=False), as_bytes, RLELossless, 0, 1)
    return unpacked(packed.tobytes(), layout)


def _by_pydicom(data: bytes, pixel: ImagePixel, syntax: UID, index: int, number_of_frames: int) -> Frame:
    # pylibjpeg-rle panics on damaged segments with something that is no Exception; pydicom's own does not
    plugin = "pydicom" if syntax == RLELossless else ""
    options: dict[str, Any] = {
        "pixel_keyword": pixel.keyword,
        "pixel_vr": pixel.vr,
        "rows": pixel.rows,
        "columns": pixel.columns,
        "samples_per_pixel": pixel.samples,
        "bits_allocated": pixel.bits_allocated,
        "bits_stored": pixel.bits_stored,
        "pixel_representation": int(pixel.signed),
        "planar_configuration": pixel.planar_configuration,
        "photometric_interpretation": pixel.photometric_interpretation,
        "number_of_frames": number_of_frames,
        "correct_unused_bits": False,  # it takes High Bit for Bits Stored - 1
    }
    array, _ = get_decoder(syntax).as_array(data, index=index, decoding_plugin=plugin, **options)
    return array


def _stored_bits(values: Frame, pixel: ImagePixel) -> Frame:
    """Only the bits from High Bit down, the highest of which is the sign, if there is one."""
    if values.dtype.kind not in "iu" or values.ndim == 3:
        return values
    width = 8 * values.dtype.itemsize
    stored, above = min(pixel.bits_stored, width), max(width - 1 - pixel.high_bit, 0)
    kind = "i" if pixel.signed else "u"
    own = values.dtype.newbyteorder("=")
    cells: Frame = np.ascontiguousarray(values, dtype=own).view(f"{kind}{own.itemsize}")
    if above:
        cells = np.left_shift(cells, above)
    return np.right_shift(cells, width - stored) if stored < width else cells
