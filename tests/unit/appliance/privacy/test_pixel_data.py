"""Pixel Data with nothing beside the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.pixel_data import clean_pixels
from tests.dicom_factory import chest_radiograph, compressed

SMALL = chest_radiograph().pixel_array[:16, :24]


def test_trailing_bytes_are_cut_off() -> None:
    """What follows the last pixel goes, an even length stays."""
    odd = chest_radiograph(pixels=SMALL[:3, :3].astype(np.uint8), bits=8)
    odd.PixelData = odd.PixelData + b"behind"
    clean = clean_pixels(odd)
    assert clean.data == SMALL[:3, :3].astype(np.uint8).tobytes() + b"\0"
    assert clean.vr == "OB"


def test_signed_pixels_keep_their_sign() -> None:
    """Twelve signed bits in sixteen are sign-extended, whatever filled the unused ones."""
    values = np.array([[-2048, -1], [0, 2047]], np.int16)
    dataset = chest_radiograph(pixels=values & np.int16(0x0FFF), bits=12)
    dataset.PixelRepresentation = 1
    assert np.array_equal(np.frombuffer(clean_pixels(dataset).data, "<i2").reshape(2, 2), values)


def test_rle_is_decoded() -> None:
    """Run-length coded pixels come out native, because we compress better."""
    clean = clean_pixels(compressed(chest_radiograph(pixels=SMALL), RLELossless))
    assert clean.transfer_syntax_uid == ExplicitVRLittleEndian and clean.by_pixel
    assert np.array_equal(np.frombuffer(clean.data, "<u2").reshape(SMALL.shape), SMALL)


def huge() -> Dataset:
    """A small RLE frame that claims to be gigabytes."""
    dataset = compressed(chest_radiograph(pixels=SMALL), RLELossless)
    dataset.Rows = dataset.Columns = 65535
    return dataset


def broken() -> Dataset:
    """An RLE frame that is no RLE."""
    dataset = compressed(chest_radiograph(pixels=SMALL), RLELossless)
    dataset.PixelData = dataset.PixelData[:16] + b"\xff" * (len(dataset.PixelData) - 16)
    return dataset


@pytest.mark.parametrize(
    "dataset",
    [
        huge(),
        broken(),
        chest_radiograph(pixels=SMALL, BitsAllocated=1),
        chest_radiograph(pixels=SMALL, BitsStored=17),
        chest_radiograph(pixels=SMALL, HighBit=3),
        chest_radiograph(pixels=SMALL, Rows=17),
    ],
    ids=["huge", "broken", "one bit", "too deep", "too low", "too short"],
)
def test_pixels_that_make_no_sense_are_refused(dataset: Dataset) -> None:
    """A description that does not fit the bytes is not guessed at."""
    with pytest.raises(CannotDeidentify, match="unreadable_pixels"):
        clean_pixels(dataset)
