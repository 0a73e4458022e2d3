"""A DICOM file nobody vouches for → a grey image in which brighter means denser, or a named reason why not.

Sizes are checked in the header, and in the header of the compressed frame, before anything is decoded.
"""

from __future__ import annotations

import errno
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from models.codestream import DECODED_HERE, FrameLayout, decode_frame, stated_size
from models.errors import CannotTriage
from models.grey_scale import FloatImage, displayed, luminance, palette_luminance
from models.image_facts import ImageFacts, facts_of
from models.reasons import Reason
from models.tolerant_reading import DAMAGED, UNREADABLE, quietly

_HEAD_BYTES = 4096
_UNDEFINED = 0xFFFFFFFF  # the length of compressed pixel data (PS3.5 A.4)
_PIECE_BYTES = 1 << 20
#: Preamble, prefix and the group length element itself; the group length counts from here (PS3.10 7.1).
_META_START = 128 + 4 + 12
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_PALETTE = "PALETTE COLOR"


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What one image may be at most: pixels in a frame, and bytes after decompression of all of it."""

    max_pixels: int = 100_000_000
    max_decoded_bytes: int = 1 << 30


DEFAULT_LIMITS = PixelLimits()


def open_dicom(
    path: Path, *, with_pixels: bool = True, max_inflated_bytes: int = DEFAULT_LIMITS.max_decoded_bytes
) -> Dataset:
    """Read a Part 10 file, or a bare data set that starts as one must. Values are not checked.

    Raises:
        CannotTriage: ``not_dicom`` when it is no DICOM or breaks off before anything useful; ``too_large``
            when a deflated data set is over ``max_inflated_bytes``.
        OSError: the disk failed (EIO), which says nothing of the file; the next attempt may get it.
    """
    try:
        if not path.is_file():
            raise CannotTriage(Reason.not_dicom, "there is no such file")
        head = _head(path)
        forced = not _has_prefix(head)
        with quietly():
            if DeflatedExplicitVRLittleEndian.encode() in head:
                _check_inflated_size(path, max_inflated_bytes)
            dataset = dcmread(path, force=forced, stop_before_pixels=not with_pixels)
            _complete_meta(dataset)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            raise
        raise CannotTriage(Reason.not_dicom, f"the header cannot be read ({type(error).__name__})") from None
    named = any(keyword in dataset for keyword in ("SOPClassUID", "Modality", "Rows", *_PIXELS))
    if not named and "MediaStorageSOPClassUID" not in dataset.file_meta:
        raise CannotTriage(Reason.not_dicom, "no element that a composite object must have")
    return dataset


def grey_image(dataset: Dataset, limits: PixelLimits = DEFAULT_LIMITS) -> FloatImage:
    """``(rows, columns)`` float32 in display units, brighter = denser; a single-frame image only.

    Raises:
        CannotTriage: ``no_pixel_data``, ``multi_frame``, ``too_large``, ``unsupported_transfer_syntax``,
            ``unreadable_pixels`` or ``blank_image``.
    """
    facts = facts_of(dataset)
    _check_header(dataset, facts, limits)
    try:
        with quietly():
            grey = _to_grey(_stored_values(dataset, facts), dataset, facts)
    except DAMAGED as error:
        raise CannotTriage(Reason.unreadable_pixels, type(error).__name__) from None
    if not np.isfinite(grey).all():
        raise CannotTriage(Reason.unreadable_pixels, "values that are not numbers")
    if grey.min() == grey.max():
        raise CannotTriage(Reason.blank_image)
    return grey


def has_pixels(dataset: Dataset) -> bool:
    """True when one of the three pixel data elements is there and not empty (PS3.3 C.7.6.3, 24 and 25)."""
    try:
        with quietly():
            return any(keyword in dataset and bool(dataset[keyword].value) for keyword in _PIXELS)
    except UNREADABLE:
        return False


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _has_prefix(head: bytes) -> bool:
    """True with the DICM prefix (PS3.10 7.1), False for a bare data set, which starts in group 2 or 8."""
    if head[128:132] == b"DICM":
        return True
    if head[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and len(head) > 132:
        return False
    raise CannotTriage(Reason.not_dicom, "neither the DICM prefix nor a data set")


def _check_inflated_size(path: Path, most: int) -> None:
    """Inflate in pieces and count: a deflated data set of a few kilobytes can hold gigabytes."""
    meta = read_file_meta_info(path)
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as stream:
        stream.seek(_META_START + int(meta.FileMetaInformationGroupLength))
        while piece := inflater.unconsumed_tail or stream.read(_PIECE_BYTES):
            total += len(inflater.decompress(piece, _PIECE_BYTES))
            if total > most:
                raise CannotTriage(Reason.too_large, f"over {most} bytes when inflated")
            if inflater.eof:
                return


def _complete_meta(dataset: Dataset) -> None:
    """Give a bare data set the transfer syntax it was parsed with; compressed pixels stay without one."""
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        dataset.file_meta = meta = FileMetaDataset()
    if "TransferSyntaxUID" in meta:
        return
    if "PixelData" in dataset and getattr(dataset.get_item("PixelData"), "length", 0) == _UNDEFINED:
        return
    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit


def _check_header(dataset: Dataset, facts: ImageFacts, limits: PixelLimits) -> None:
    if not has_pixels(dataset):
        raise CannotTriage(Reason.no_pixel_data)
    if facts.number_of_frames > 1:
        raise CannotTriage(Reason.multi_frame, f"{facts.number_of_frames} frames")
    pixels = facts.rows * facts.columns
    if pixels == 0:
        raise CannotTriage(Reason.unreadable_pixels, "Rows or Columns is missing")
    if pixels > limits.max_pixels:
        raise CannotTriage(Reason.too_large, f"{pixels} pixels, the limit is {limits.max_pixels}")
    if (size := _layout(facts).size_bytes) > limits.max_decoded_bytes:
        raise CannotTriage(Reason.too_large, f"{size} bytes decoded, the limit is {limits.max_decoded_bytes}")


def _layout(facts: ImageFacts) -> FrameLayout:
    return FrameLayout(
        facts.rows,
        facts.columns,
        facts.samples_per_pixel,
        facts.bits_allocated,
        facts.photometric_interpretation,
    )


def _stored_values(dataset: Dataset, facts: ImageFacts) -> NDArray[Any]:
    """Decode the only frame: ``(rows, columns)`` stored values or ``(rows, columns, 3)`` RGB."""
    syntax = UID(facts.transfer_syntax_uid)
    here = syntax in DECODED_HERE
    if not here and not _known_to_pydicom(syntax):
        raise CannotTriage(Reason.unsupported_transfer_syntax, "no decoder for it is installed")
    if not here and not syntax.is_encapsulated:
        return pixel_array(dataset, index=0)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    _check_frame(frame, facts)
    if not here:
        # pylibjpeg-rle panics on damaged segments with something that is no Exception; pydicom's own does not
        plugin = "pydicom" if syntax == RLELossless else ""
        return pixel_array(dataset, index=0, decoding_plugin=plugin)
    decoded = decode_frame(frame, syntax, _layout(facts))
    if decoded.shape[:2] != (facts.rows, facts.columns):
        raise CannotTriage(Reason.unreadable_pixels, "the frame has another size than the header says")
    return _signed(decoded, dataset) if dataset.get("PixelRepresentation") == 1 else decoded


def _known_to_pydicom(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _check_frame(frame: bytes, facts: ImageFacts) -> None:
    stated = stated_size(frame)
    if stated is not None and stated != (facts.rows, facts.columns, facts.samples_per_pixel):
        raise CannotTriage(Reason.unreadable_pixels, "the compressed frame has another size than the header says")


def _signed(decoded: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """JPEG carries no sign: the highest stored bit becomes it."""
    shift = 8 * decoded.dtype.itemsize - int(dataset.BitsStored)
    signed = decoded.view(f"i{decoded.dtype.itemsize}")
    return np.right_shift(np.left_shift(signed, shift), shift) if shift > 0 else signed


def _to_grey(stored: NDArray[Any], dataset: Dataset, facts: ImageFacts) -> FloatImage:
    kind = facts.photometric_interpretation
    if stored.ndim == 2 and kind in _GREY:
        return displayed(stored, dataset)
    if stored.ndim == 2 and kind == _PALETTE:
        return palette_luminance(stored, dataset)
    if stored.ndim == 3 and stored.shape[2] == 3 and kind in _COLOUR:
        return luminance(stored)
    raise CannotTriage(Reason.unreadable_pixels, "Photometric Interpretation does not fit the pixels")
