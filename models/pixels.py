"""A DICOM file nobody vouches for → a grey image in which brighter means denser, or a named reason why not."""

from __future__ import annotations

import errno
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from models.errors import CannotTriage
from models.frame_attributes import frame_attributes, square_pixels
from models.frames import checked, stored_frame
from models.grey_scale import FloatImage, displayed, luminance, palette_luminance
from models.image_pixel import PIXEL_KEYWORDS, has_pixels
from models.pixel_limits import DEFAULT_LIMITS, PixelLimits
from models.reasons import Reason
from models.tolerant_reading import DAMAGED, quietly

__all__ = ["DEFAULT_LIMITS", "PixelLimits", "grey_frame", "grey_image", "has_pixels", "open_dicom"]

_HEAD_BYTES = 4096
_UNDEFINED = 0xFFFFFFFF  # the length of compressed pixel data (PS3.5 A.4)
_PIECE_BYTES = 1 << 20
#: Preamble, prefix and the group length element itself; the group length counts from here (PS3.10 7.1).
_META_START = 128 + 4 + 12
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_COLOUR = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_PALETTE = "PALETTE COLOR"


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
            with path.open("rb") as stream:
                dataset = dcmread(stream, force=forced, stop_before_pixels=not with_pixels)
            _complete_meta(dataset)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            raise
        raise CannotTriage(Reason.not_dicom, f"the header cannot be read ({type(error).__name__})") from None
    named = any(keyword in dataset for keyword in ("SOPClassUID", "Modality", "Rows", *PIXEL_KEYWORDS))
    if not named and "MediaStorageSOPClassUID" not in dataset.file_meta:
        raise CannotTriage(Reason.not_dicom, "no element that a composite object must have")
    return dataset


def grey_image(dataset: Dataset, limits: PixelLimits = DEFAULT_LIMITS) -> FloatImage:
    """``(rows, columns)`` float32 in display units, brighter = denser, pixels square; a single-frame image only.

    Raises:
        CannotTriage: ``no_pixel_data``, ``multi_frame``, ``too_large``, ``unsupported_transfer_syntax``,
            ``unreadable_pixels`` or ``blank_image``.
    """
    frames = checked(dataset, limits).number_of_frames
    if frames > 1:
        raise CannotTriage(Reason.multi_frame, f"{frames} frames")
    grey = grey_frame(dataset, 0, limits)
    if grey.min() == grey.max():
        raise CannotTriage(Reason.blank_image)
    return grey


def grey_frame(dataset: Dataset, index: int, limits: PixelLimits = DEFAULT_LIMITS) -> FloatImage:
    """Frame ``index``, from 0, as :func:`grey_image` gives the only one; it may be blank.

    Raises:
        CannotTriage: ``no_pixel_data``, ``too_large``, ``unsupported_transfer_syntax`` or ``unreadable_pixels``.
    """
    pixel = checked(dataset, limits)
    stored = stored_frame(dataset, index, limits)
    try:
        with quietly():
            attributes = frame_attributes(dataset, index)
            attributes.PhotometricInterpretation = pixel.photometric_interpretation
            attributes.BitsStored, attributes.PixelRepresentation = pixel.bits_stored, int(pixel.signed)
            grey = _to_grey(stored, attributes, pixel.photometric_interpretation)
            grey = square_pixels(grey, attributes, limits.max_pixels)
    except DAMAGED as error:
        raise CannotTriage(Reason.unreadable_pixels, type(error).__name__) from None
    if not np.isfinite(grey).all():
        raise CannotTriage(Reason.unreadable_pixels, "values that are not numbers")
    return grey


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
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as stream:
        read_preamble(stream, force=False)
        meta = _read_file_meta_info(stream)
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


def _to_grey(stored: NDArray[Any], attributes: Dataset, kind: str) -> FloatImage:
    if stored.ndim == 2 and kind in _GREY:
        return displayed(stored, attributes)
    if stored.ndim == 2 and kind == _PALETTE:
        return palette_luminance(stored, attributes)
    if stored.ndim == 3 and stored.shape[2] == 3 and kind in _COLOUR:
        return luminance(stored)
    raise CannotTriage(Reason.unreadable_pixels, "Photometric Interpretation does not fit the pixels")
