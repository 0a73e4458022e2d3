"""Pixels to tensor: the caller's pixels stay as they are, and the type they come in makes no difference."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.preprocessing import InputSpec, resize_square, to_tensor
from tests.tiny_pack import picture

SPEC = InputSpec(size_px=64)


@pytest.mark.parametrize("side", [64, 48, 256, 900])
@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_the_pixels_are_left_alone(side: int, sigma: float) -> None:
    """Also where no resampling and no low-pass gives a copy: the same image is drawn for people afterwards."""
    pixels = picture("urgent", side, side + 10).astype(np.float32)
    before = pixels.copy()
    tensor = to_tensor(pixels, InputSpec(size_px=64, low_pass_sigma_px=sigma))
    assert np.array_equal(pixels, before)
    assert not np.shares_memory(tensor, pixels)


@pytest.mark.parametrize("side", [64, 48, 256, 900])
def test_the_type_makes_no_difference(side: int) -> None:
    """Stored integers and the same values as float give the same bits, in -1..1 and of the network's shape."""
    pixels = picture("escalate", side + 3, side)
    tensor = to_tensor(pixels, SPEC)
    assert np.array_equal(tensor, to_tensor(pixels.astype(np.float32), SPEC))
    assert np.array_equal(tensor, to_tensor(pixels.astype(np.float64), SPEC))
    assert tensor.shape == (1, 1, 64, 64)
    assert tensor.dtype == np.float32
    assert (tensor.min(), tensor.max()) == (-1.0, 1.0)


@pytest.mark.parametrize("side", [896, 1024, 2047])
def test_a_large_image_is_halved_first(side: int) -> None:
    """Halving is much faster, and next to the same as averaging in one step, noise included."""
    noise = np.random.default_rng(0).normal(0.0, 40.0, (side, side))
    pixels = (picture("escalate", side, side) + noise).astype(np.float32)
    at_once = cv2.resize(pixels, (224, 224), interpolation=cv2.INTER_AREA)
    difference = np.abs(resize_square(pixels, 224) - at_once)
    assert difference.max() < 0.01 * (pixels.max() - pixels.min())
    assert difference.mean() < 0.002 * (pixels.max() - pixels.min())
