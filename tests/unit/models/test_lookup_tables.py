"""Tables of the header, in every form in which they are written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.lookup_tables import coloured, is_filled, looked_up

CURVE = (np.linspace(0, 1, 1000) ** 2 * 255).astype(np.uint16)


def _item(descriptor: list[int], data: Any, vr: str) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    item.add_new("LUTData", vr, data)
    return item


@pytest.mark.parametrize(
    ("data", "vr", "little"),
    [
        (CURVE.tolist(), "US", True),
        (CURVE.astype("<u2").tobytes(), "OW", True),
        (CURVE.astype(">u2").tobytes(), "OW", False),
        (CURVE.astype(np.uint8).tobytes(), "OW", True),
        (CURVE.astype(np.uint8).view("<u2").tolist(), "US", True),
    ],
    ids=["numbers", "words", "big endian", "bytes", "two in a number"],
)
def test_each_way_to_write_eight_bits(data: Any, vr: str, little: bool) -> None:
    """A thousand entries, more than 8 bits can count; beyond both ends the end's entry counts."""
    values = np.array([[-5, 0, 10, 500], [1009, 1010, 4000, 60]], dtype=np.int16)
    out = looked_up(values, _item([1000, 10, 8], data, vr), little)
    assert np.array_equal(out, CURVE[np.clip(values.astype(int) - 10, 0, 999)])


@pytest.mark.parametrize("bits", range(8, 17))
def test_every_depth(bits: int) -> None:
    """A VOI LUT has 8 to 16 bits (PS3.3 C.11.2.1.1), and so have Modality LUTs that are met."""
    entries = np.linspace(0, 2**bits - 1, 64).astype(int)
    out = looked_up(np.arange(64), _item([64, 0, bits], entries.tolist(), "US"), True)
    assert out.tolist() == entries.tolist()


def test_a_first_value_below_zero() -> None:
    """With its sign, or written as if it had none."""
    values = np.array([-2000, -1999, 0], dtype=np.int16)
    for first in (-2000, 63536):
        item = _item([3, first, 16], [7, 8, 9], "US")
        assert looked_up(values, item, True).tolist() == [7, 8, 9]


def test_65536_entries_are_written_as_none() -> None:
    """PS3.3 C.11.1.1: the number of entries has 16 bits."""
    data = np.arange(65536, dtype="<u2")[::-1].tobytes()
    assert looked_up(np.array([0, 65535]), _item([0, 0, 16], data, "OW"), True).tolist() == [65535, 0]


def test_nothing_in_it() -> None:
    """No data is told apart from bad data."""
    assert not is_filled(Dataset())
    with pytest.raises(ValueError, match="without entries"):
        looked_up(np.array([1]), _item([4, 0, 16], b"", "OW"), True)


def test_a_palette_in_big_endian() -> None:
    """Three tables; the words stand in the data set's byte order."""
    dataset = Dataset()
    tables = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
        dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", table.astype(">u2").tobytes())
    out = coloured(np.array([[3, 1]], dtype=np.uint8), dataset, False)
    assert out.tolist() == [[[3000, 7000, 11000], [1000, 5000, 9000]]]
