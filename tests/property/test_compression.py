"""Whatever kind of picture: what is sent is decoded again to the very same values, and never larger than it was."""

from __future__ import annotations

from copy import deepcopy
from io import BytesIO

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from appliance.privacy.compress import compressed, part_10
from appliance.privacy.htj2k import to_htj2k
from tests.dicom_factory import chest_radiograph, set_pixels

_HEADER = chest_radiograph()
_GREY, _COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL")


@st.composite
def native_images(draw: st.DrawFn) -> Dataset:
    """Any photometric interpretation, bits allocated and stored, sign, planar configuration and number of frames."""
    photometric = draw(st.sampled_from([*_GREY, *_COLOUR, "YBR_FULL_422"]))
    allocated = 8 if photometric not in _GREY else draw(st.sampled_from([8, 16, 32]))
    stored = allocated if photometric not in _GREY else draw(st.integers(1, allocated))
    signed = photometric in _GREY and draw(st.booleans())
    frames = draw(st.integers(1, 3))
    rows, columns = draw(st.integers(1, 40)), 2 * draw(st.integers(1, 20))
    samples = 1 if photometric in _GREY else 2 if photometric == "YBR_FULL_422" else 3
    pixels = _pixels(draw, (frames, rows, columns, samples), stored, allocated, signed=signed)
    dataset = deepcopy(_HEADER)
    set_pixels(dataset, pixels[0, :, :, 0], stored)
    dataset.PhotometricInterpretation = photometric
    dataset.SamplesPerPixel = 1 if photometric in _GREY else 3
    if frames > 1:
        dataset.NumberOfFrames = frames
    if photometric not in _GREY:
        planar = 0 if photometric == "YBR_FULL_422" else draw(st.integers(0, 1))
        dataset.PlanarConfiguration = planar
        pixels = np.moveaxis(pixels, -1, 1) if planar else pixels
    data = pixels.tobytes()
    dataset.add_new("PixelData", "OB" if allocated == 8 else "OW", data + b"\0" * (len(data) % 2))
    return dataset


def _pixels(
    draw: st.DrawFn, shape: tuple[int, ...], stored: int, allocated: int, *, signed: bool
) -> NDArray[np.integer]:
    """Smooth, random or flat, and in all of them the lowest and the highest value that fit."""
    low, high = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["smooth", "noise", "flat"]))
    if kind == "noise":
        values = rng.integers(low, high, shape, endpoint=True)
    else:
        slope = np.linspace(low, high, int(np.prod(shape))).reshape(shape)
        values = np.clip(np.rint(slope if kind == "smooth" else np.full(shape, low)), low, high).astype(np.int64)
    values.flat[0], values.flat[-1] = low, high
    return values.astype(f"<{'i' if signed else 'u'}{allocated // 8}")


@given(native_images())
@settings(max_examples=150)
def test_every_kind_of_picture_comes_back_bit_by_bit(dataset: Dataset) -> None:
    """Values and their type are the same, the file is no larger than uncompressed, and twice it is the same."""
    written = compressed(dataset)
    sent = dcmread(BytesIO(written))
    after, before = pixel_array(sent, raw=True), pixel_array(dataset, raw=True)
    assert after.dtype == before.dtype and np.array_equal(after, before)
    assert len(written) <= len(part_10(dataset))
    assert compressed(dataset) == written
    for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns"):
        assert sent[keyword].value == dataset[keyword].value


@given(native_images())
@settings(max_examples=150)
def test_htj2k_holds_all_it_says_it_holds(dataset: Dataset) -> None:
    """What it does not refuse it gives back exactly, by another decoder, and its header states the bits stored."""
    before = pixel_array(dataset, raw=True)
    fits = dataset.BitsAllocated <= 16 and dataset.PhotometricInterpretation != "YBR_FULL_422"
    try:
        to_htj2k(dataset)
    except ValueError:
        assert not fits
        return
    assert fits
    after = pixel_array(dcmread(BytesIO(part_10(dataset))), raw=True)
    assert after.dtype == before.dtype and np.array_equal(after, before)
