"""One frame of a file, as it is stored or decompressed, and as a picture for a person. Runs where ``opening`` runs."""

from __future__ import annotations

import copy
import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import get_expected_length, pack_bits, pixel_array, unpack_bits
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from appliance.dicomweb.opening import Unreadable, decoded_bytes, open_file
from appliance.dicomweb.pixel_place import PIXELS, pixels_of
from models.codestream import DECODED_HERE, FrameLayout, decode_frame
from models.errors import CannotTriage
from models.pixels import PixelLimits, grey_image
from models.reasons import Reason
from models.tolerant_reading import DAMAGED, quietly

_VALUE_MACROS: Final = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_EIGHT_BITS: Final = 255.0
_CUT_OFF: Final = Unreadable("the file ends before the frame")


@dataclass(frozen=True)
class Frame:
    """The bytes of one frame and the transfer syntax they are in."""

    data: bytes
    transfer_syntax_uid: str


@dataclass(frozen=True)
class NoSuchFrame:
    """The instance has so many frames."""

    number_of_frames: int


@dataclass(frozen=True)
class Picture:
    """How a person wants it: at most so large (pixels), through this window, as this kind of file."""

    media_type: str
    width: int | None = None
    height: int | None = None
    window: tuple[float, float] | None = None
    quality: int = 90


def frame_of(path: Path, number: int, native: bool, limits: PixelLimits) -> Frame | NoSuchFrame | Unreadable:
    """Frame ``number``, from 1, as stored; with ``native`` decompressed, little endian."""
    found = one_frame(path, number, limits)
    if not isinstance(found, Dataset):
        return found
    syntax = UID(found.file_meta.TransferSyntaxUID)
    data: bytes = found.PixelData
    if not syntax.is_encapsulated:
        return Frame(data, str(ExplicitVRLittleEndian))
    if not native:
        return Frame(get_frame(data, 0, number_of_frames=1), str(syntax))
    try:
        with quietly():
            stored = np.ascontiguousarray(_decoded(found, syntax))
            return Frame(stored.astype(stored.dtype.newbyteorder("<")).tobytes(), str(ExplicitVRLittleEndian))
    except DAMAGED as error:
        return Unreadable(f"the frame cannot be decompressed ({type(error).__name__})")


def rendered(path: Path, number: int, picture: Picture, limits: PixelLimits) -> bytes | NoSuchFrame | Unreadable:
    """Frame ``number``, from 1, as a JPEG or PNG file (PS3.18 8.3.5)."""
    found = one_frame(path, number, limits)
    if not isinstance(found, Dataset):
        return found
    try:
        with quietly():
            shown = _fitted(_display(found, picture, limits), picture)
    except CannotTriage as error:
        return Unreadable(error.reason.value)
    except DAMAGED as error:
        return Unreadable(f"the frame cannot be shown ({type(error).__name__})")
    jpeg = picture.media_type == "image/jpeg"
    options = [cv2.IMWRITE_JPEG_QUALITY, picture.quality] if jpeg else []
    written, data = cv2.imencode(".jpg" if jpeg else ".png", shown, options)
    return data.tobytes() if written else Unreadable("the picture cannot be written")


def one_frame(path: Path, number: int, limits: PixelLimits) -> Dataset | NoSuchFrame | Unreadable:
    """The data set as if this frame were its only one. Raises OSError: the disk failed."""
    dataset = open_file(path, limits.max_decoded_bytes, with_pixels=False)
    if isinstance(dataset, Unreadable):
        return dataset
    try:
        with quietly():
            frames = int(dataset.get("NumberOfFrames") or 1) if "Rows" in dataset else 0
            if not 1 <= number <= frames:
                return NoSuchFrame(frames)
            pixels = int(dataset.Rows) * int(dataset.Columns)
            if pixels > limits.max_pixels or decoded_bytes(dataset, 1) > limits.max_decoded_bytes:
                return Unreadable("the frame is over the limits of this box")
            data = _stored(path, dataset, number - 1, frames)
            _take_over_values(dataset, number - 1)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            raise
        return Unreadable(f"the frame cannot be found ({type(error).__name__})")
    if isinstance(data, Unreadable):
        return data
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([data]) if dataset.file_meta.TransferSyntaxUID.is_encapsulated else data
    dataset["PixelData"].VR = "OB" if int(dataset.BitsAllocated) <= 8 else "OW"
    return dataset


def _stored(path: Path, dataset: Dataset, index: int, frames: int) -> bytes | Unreadable:
    if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian:
        return _from_big_endian(path, dataset, index)
    with pixels_of(path) as (stream, place):
        if place is None or place.tag != PIXELS:
            return Unreadable("it has no Pixel Data of whole numbers")
        stream.seek(place.offset)
        if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            tables = tuple(dataset.get(f"ExtendedOffsetTable{end}") for end in ("", "Lengths"))
            offsets = tables if all(tables) else None
            return get_frame(stream, index, extended_offsets=offsets, number_of_frames=frames)
        if int(dataset.BitsAllocated) == 1:
            pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
            first = index * pixels
            stream.seek(first // 8, 1)
            bits = unpack_bits(stream.read((first % 8 + pixels + 7) // 8))[first % 8 :][:pixels]
            return (
                pack_bits(np.asarray(bits), pad=False)
                if len(bits) == pixels
                else Unreadable("the file ends before the frame")
            )
        length = get_expected_length(dataset) // frames
        stream.seek(index * length, 1)
        data = stream.read(length)
        return data if len(data) == length else _CUT_OFF


def _take_over_values(dataset: Dataset, index: int) -> None:
    """What an enhanced object says of this frame stands as in an object of one frame (PS3.3 C.7.6.16)."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (*shared[:1], *own[index : index + 1]):
        for macro in _VALUE_MACROS:
            for item in (group.get(macro) or [])[:1]:
                dataset.update(copy.copy(item))


def _from_big_endian(path: Path, dataset: Dataset, index: int) -> bytes:
    """As a little endian file would have it: words are turned round, also those that hold two pixels of 8 bits."""
    with path.open("rb") as file:
        values = pixel_array(file, index=index, raw=True)
    if values.ndim == 3 and dataset.get("PlanarConfiguration") == 1:
        values = np.moveaxis(values, -1, 0)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def _decoded(dataset: Dataset, syntax: UID) -> NDArray[Any]:
    """Stored values of the only frame, colours as RGB."""
    if syntax in DECODED_HERE:
        layout = FrameLayout(
            int(dataset.Rows),
            int(dataset.Columns),
            int(dataset.SamplesPerPixel),
            int(dataset.BitsAllocated),
            str(dataset.PhotometricInterpretation),
        )
        return decode_frame(get_frame(dataset.PixelData, 0, number_of_frames=1), syntax, layout)
    # pylibjpeg-rle panics on damaged segments with something that is no Exception; pydicom's own does not
    return pixel_array(dataset, index=0, decoding_plugin="pydicom" if syntax == RLELossless else "")


def _display(dataset: Dataset, picture: Picture, limits: PixelLimits) -> NDArray[np.uint8]:
    """``(rows, columns)`` grey or ``(rows, columns, 3)`` blue, green, red, 8 bits."""
    kind = str(dataset.PhotometricInterpretation).strip().upper()
    if kind == "PALETTE COLOR":
        coloured = apply_color_lut(pixel_array(dataset, index=0, raw=True), dataset)[..., :3]
        return _blue_first(coloured)
    if int(dataset.get("SamplesPerPixel") or 1) == 3:
        plugin = "pydicom" if dataset.file_meta.TransferSyntaxUID == RLELossless else ""
        return _blue_first(pixel_array(dataset, index=0, decoding_plugin=plugin))
    if picture.window is not None:
        dataset.WindowCenter, dataset.WindowWidth = picture.window
        for keyword in ("VOILUTSequence", "VOILUTFunction"):
            if keyword in dataset:
                delattr(dataset, keyword)
    dataset.PhotometricInterpretation = "MONOCHROME2"  # turned round below, about the middle of the whole scale
    try:
        grey = grey_image(dataset, limits)
    except CannotTriage as error:
        if error.reason is not Reason.blank_image:
            raise
        return np.zeros((int(dataset.Rows), int(dataset.Columns)), np.uint8)
    low, high = _scale(dataset, float(grey.min()), float(grey.max()))
    eight = np.clip((grey - low) * (_EIGHT_BITS / (high - low)), 0.0, _EIGHT_BITS).astype(np.uint8)
    return np.asarray(255 - eight if kind == "MONOCHROME1" else eight, np.uint8)


def _scale(dataset: Dataset, low: float, high: float) -> tuple[float, float]:
    """From black to white: after a window all that the stored bits can say, else what the picture has."""
    if "WindowCenter" not in dataset or dataset.get("VOILUTSequence"):
        return low, high
    bits = int(dataset.BitsStored)
    signed = int(dataset.get("PixelRepresentation") or 0)
    first, last = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    ends = sorted((first * slope + intercept, last * slope + intercept))
    return (ends[0], ends[1]) if ends[0] <= low and high <= ends[1] else (low, high)


def _blue_first(coloured: NDArray[Any]) -> NDArray[np.uint8]:
    if coloured.dtype != np.uint8:
        coloured = coloured / (np.iinfo(coloured.dtype).max / _EIGHT_BITS)
    return np.ascontiguousarray(coloured[..., ::-1]).astype(np.uint8)


def _fitted(shown: NDArray[np.uint8], picture: Picture) -> NDArray[np.uint8]:
    """Shrunk or stretched into the viewport, in its own shape (PS3.18 8.3.5.1.3)."""
    if picture.width is None or picture.height is None:
        return shown
    scale = min(picture.width / shown.shape[1], picture.height / shown.shape[0])
    size = (max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale)))
    return np.asarray(
        cv2.resize(shown, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )
