"""Compression that is proven by decoding."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
)

from appliance.privacy import compress
from tests.dicom_factory import chest_radiograph
from tests.dicom_factory import compressed as sent_compressed


def noise(dtype: str, low: int, high: int, shape: tuple[int, ...] = (33, 47)) -> NDArray[np.generic]:
    """A smooth ramp over a bit depth with a little noise, so that it compresses."""
    rng = np.random.default_rng(3)
    ramp = np.linspace(low, high - 1, int(np.prod(shape))).reshape(shape)
    return np.clip(ramp + rng.integers(-2, 3, shape), low, high - 1).astype(dtype)


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        (noise("u1", 0, 256), 8),
        (noise("u2", 0, 4096), 12),
        (noise("u2", 0, 65536), 16),
        (noise("i2", -2048, 2048), 12),
        (noise("i2", -32768, 32768), 16),
        (noise("u1", 0, 256, (33, 47, 3)), 8),
    ],
)
def test_compression_is_bit_exact_and_repeatable(pixels: NDArray[np.generic], bits: int) -> None:
    """Every depth comes back as it was, smaller, and twice the same."""
    before = chest_radiograph(pixels=pixels, bits=bits)
    written = compress.compressed(before)
    after = dcmread(BytesIO(written))
    assert after.pixel_array.dtype == before.pixel_array.dtype
    assert np.array_equal(after.pixel_array, pixels)
    assert len(written) < len(compress.part_10(before))
    assert compress.compressed(before) == written
    assert before.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_radiograph_goes_as_jpeg_ls_and_a_flat_one_deflated() -> None:
    """The smaller of the two is taken."""
    radiograph = dcmread(BytesIO(compress.compressed(chest_radiograph())))
    assert radiograph.file_meta.TransferSyntaxUID == JPEGLSLossless
    tiled = np.tile(np.arange(64, dtype=np.uint16) * 37 % 4096, (64, 1))
    flat = dcmread(BytesIO(compress.compressed(chest_radiograph(pixels=tiled))))
    assert flat.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian


def test_what_is_compressed_already_is_left_alone() -> None:
    """A frame the sender compressed is not decoded and encoded again."""
    before = sent_compressed(chest_radiograph(), JPEG2000Lossless)
    after = dcmread(BytesIO(compress.compressed(before)))
    assert after.PixelData == before.PixelData


def test_a_changed_pixel_is_noticed() -> None:
    """Negative control: the comparison that admits a candidate refuses one that differs in one value."""
    before = chest_radiograph()
    changed = chest_radiograph(pixels=before.pixel_array ^ (np.arange(512 * 512).reshape(512, 512) == 7))
    assert compress._same_pixels(compress.part_10(before), before)
    assert not compress._same_pixels(compress.part_10(changed), before)
