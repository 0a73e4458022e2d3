"""Lookup tables of the header: Modality LUT, VOI LUT and palette (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5 and 6).

pydicom's own look-up fails for a Modality LUT of 10 to 15 bits, and counts in the bits of the entry, so that a table
of more than 256 entries of 8 bits gives another picture without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

_COLOURS = ("Red", "Green", "Blue")


def is_filled(item: Dataset) -> bool:
    """Whether an item of a LUT sequence has a table; some have nothing in it."""
    return item.get("LUTDescriptor") is not None and item.get("LUTData") is not None


def looked_up(values: NDArray[Any], item: Dataset, little_endian: bool) -> NDArray[Any]:
    """``values`` through the table of one item of a Modality LUT or VOI LUT Sequence.

    Raises ValueError, TypeError, LookupError, AttributeError: there is no table that can be understood.
    """
    return _through(values, item.LUTDescriptor, item.LUTData, little_endian)


def coloured(indices: NDArray[Any], dataset: Dataset, little_endian: bool) -> NDArray[Any]:
    """``(rows, columns)`` indices → ``(rows, columns, 3)`` RGB by the three tables of the palette.

    Raises ValueError, TypeError, LookupError, AttributeError: a table is missing or cannot be understood.
    """
    planes = []
    for colour in _COLOURS:
        described = dataset[f"{colour}PaletteColorLookupTableDescriptor"].value
        data = dataset[f"{colour}PaletteColorLookupTableData"].value
        planes.append(_through(indices, described, data, little_endian))
    return np.stack(planes, axis=-1)


def _through(values: NDArray[Any], descriptor: Any, data: Any, little_endian: bool) -> NDArray[Any]:
    """What is below the first value that is mapped gets the first entry, what is above the last the last."""
    count, first, bits = (int(number) for number in descriptor)
    entries = _entries(data, (count & 0xFFFF) or 1 << 16, bits, little_endian)
    if first > 0x7FFF and values.min() < 0:
        first -= 1 << 16  # written as if it had no sign
    below = np.floor(values).astype(np.int64) - first
    found: NDArray[Any] = entries[np.clip(below, 0, len(entries) - 1)]
    return found


def _entries(data: Any, count: int, bits: int, little_endian: bool) -> NDArray[Any]:
    """Entries of 8 bits stand in a byte each or in a word each; the length of the data tells which."""
    if isinstance(data, (bytes, bytearray)):
        raw = bytes(data)
    else:
        words = np.atleast_1d(np.asarray(data, dtype=np.int64))
        if bits > 8 or len(words) >= count:
            return _not_empty((words & 0xFFFF)[:count])
        raw = (words & 0xFFFF).astype("<u2" if little_endian else ">u2").tobytes()
    in_words = bits > 8 or len(raw) >= 2 * count
    kind = np.dtype("<u2" if little_endian else ">u2") if in_words else np.dtype(np.uint8)
    return _not_empty(np.frombuffer(raw[: len(raw) // kind.itemsize * kind.itemsize], kind)[:count])


def _not_empty(entries: NDArray[Any]) -> NDArray[Any]:
    if not len(entries):
        raise ValueError("a lookup table without entries")
    return entries.astype(np.uint16)
