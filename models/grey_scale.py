"""Stored values → what a person would see: rescale, window, polarity, colour (PS3.3 C.11, PS3.4 N.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_windowing

from models.lookup_tables import coloured, is_filled, looked_up
from models.tolerant_reading import UNREADABLE

FloatImage = NDArray[np.float32]

_LARGEST_TABLE = 1 << 16
#: As many rows of a radiograph, as float or as index, as a processor's cache holds.
_BLOCK_ROWS = 64
_RESCALE = ("RescaleSlope", "RescaleIntercept")
_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def displayed(stored: NDArray[Any], dataset: Dataset) -> FloatImage:
    """``(rows, columns)`` stored values of MONOCHROME1 or MONOCHROME2 → float32, brighter = denser.

    Modality LUT or rescale, then the first VOI LUT or window, then the polarity of MONOCHROME1. Pixel padding
    becomes as dark as the darkest true pixel, whatever the polarity.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: the rescale or a LUT cannot be understood.
    """
    padding = _padding(stored, dataset)
    grey = _through_tables(stored, dataset)
    if padding is not None:
        inside = ~padding
        darkest = float(grey[inside].min()) if inside.any() else 0.0
        grey[padding] = darkest
    return grey


def luminance(coloured: NDArray[Any]) -> FloatImage:
    """``(rows, columns, 3)`` RGB → ``(rows, columns)`` float32 by the weights of ITU-R BT.601."""
    grey = np.empty(coloured.shape[:2], dtype=np.float32)
    for start in range(0, len(grey), _BLOCK_ROWS):
        block = coloured[start : start + _BLOCK_ROWS].astype(np.float32)
        grey[start : start + _BLOCK_ROWS] = block @ _LUMINANCE
    return grey


def palette_luminance(stored: NDArray[Any], dataset: Dataset) -> FloatImage:
    """``(rows, columns)`` indices of PALETTE COLOR → float32 luminance (PS3.3 C.7.6.3.1.5)."""
    if "RedPaletteColorLookupTableData" in dataset:
        return luminance(coloured(stored, dataset, _is_little_endian(dataset)))
    return luminance(apply_color_lut(stored, dataset)[..., :3])  # in segments (PS3.3 C.7.9.2)


def _through_tables(stored: NDArray[Any], dataset: Dataset) -> FloatImage:
    """Work out each possible value once and look the pixels up: exact, with no float64 copy of the image."""
    low, high = stored.min(), stored.max()
    if stored.dtype.kind not in "iu" or int(high) - int(low) >= _LARGEST_TABLE:
        return _polarity(_voi(rescaled(stored, dataset), dataset), dataset)
    values = np.arange(int(low), int(high) + 1).astype(stored.dtype)
    table = _polarity(_voi(rescaled(values, dataset), dataset), dataset)
    grey = np.empty(stored.shape, dtype=np.float32)
    for start in range(0, len(stored), _BLOCK_ROWS):
        within = slice(start, start + _BLOCK_ROWS)
        # Every index is in the table, as low and high are of these values; "clip" saves looking at each once more.
        np.take(table, stored[within].astype(np.int64) - int(low), out=grey[within], mode="clip")
    return grey


def rescaled(values: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Stored values → what they measure, Hounsfield units for one, by the Modality LUT or the rescale (PS3.3 C.11.1).

    A sequence with nothing in it, or a rescale without numbers, is as good as absent.

    Raises:
        ValueError, TypeError, LookupError, AttributeError: the rescale or the table cannot be understood.
    """
    table = _table(dataset, "ModalityLUTSequence")
    if table is not None:
        return looked_up(values, table, _is_little_endian(dataset))
    if any(dataset.get(keyword) is None for keyword in _RESCALE):
        return values
    return values.astype(np.float64) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


def _voi(values: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """A table or window nobody can read is left out: it is a wish for the display, not part of the measurement."""
    try:
        table = _table(dataset, "VOILUTSequence")
        if table is not None:
            return looked_up(values, table, _is_little_endian(dataset))
        if dataset.get("WindowCenter") is None or dataset.get("WindowWidth") is None:
            return values
        return apply_windowing(values, dataset)
    except UNREADABLE:
        return values


def _table(dataset: Dataset, keyword: str) -> Dataset | None:
    sequence = dataset.get(keyword)
    return sequence[0] if sequence and is_filled(sequence[0]) else None


def _is_little_endian(dataset: Dataset) -> bool:
    return dataset.original_encoding[1] is not False


def _polarity(values: NDArray[Any], dataset: Dataset) -> FloatImage:
    """MONOCHROME1 shows its lowest value white (PS3.3 C.7.6.3.1.2)."""
    grey = values.astype(np.float32)
    if str(dataset.PhotometricInterpretation).strip().upper() == "MONOCHROME1":
        grey = np.subtract(grey.max() + grey.min(), grey, dtype=np.float32)
    return grey


def _padding(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_] | None:
    """Where (0028,0120) Pixel Padding Value, or the range up to (0028,0121), stands; None without padding."""
    try:
        first = _as_stored(int(dataset.PixelPaddingValue), stored)
        last = _as_stored(int(dataset.PixelPaddingRangeLimit), stored) if _has_range(dataset) else first
    except UNREADABLE:
        return None
    low, high = sorted((first, last))
    mask: NDArray[np.bool_] = (stored >= low) & (stored <= high)
    return mask if mask.any() else None


def _has_range(dataset: Dataset) -> bool:
    return dataset.get("PixelPaddingRangeLimit") is not None


def _as_stored(value: int, stored: NDArray[Any]) -> int:
    """Many write the padding of signed pixels as if it had no sign, 63536 for -2000."""
    is_negative = stored.dtype.kind == "i" and value > np.iinfo(stored.dtype).max
    return value - (1 << (8 * stored.dtype.itemsize)) if is_negative else value
