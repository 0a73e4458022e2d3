"""From stored values to what a person would see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from models.grey_scale import displayed, luminance
from tests.dicom_factory import chest_radiograph

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def _dataset(**overrides: Any) -> Dataset:
    return chest_radiograph(pixels=RAMP, **overrides)


def test_the_table_gives_what_pydicom_gives_pixel_by_pixel() -> None:
    """Rescale and window through the table of values are exact."""
    dataset = _dataset(RescaleIntercept=-100, RescaleSlope=2, WindowCenter=1500, WindowWidth=900)
    direct = apply_voi_lut(apply_modality_lut(RAMP, dataset), dataset)
    assert displayed(RAMP, dataset) == pytest.approx(direct, rel=1e-6)


def test_values_too_far_apart_for_a_table_give_the_same() -> None:
    """32-bit values take the direct way."""
    wide = RAMP.astype(np.int32) * 1000
    dataset = _dataset(WindowCenter=None, WindowWidth=None)
    assert np.array_equal(displayed(wide, dataset), wide.astype(np.float32))


def test_monochrome1_is_turned_round() -> None:
    """Its lowest value is white (PS3.3 C.7.6.3.1.2)."""
    dark = displayed(RAMP, _dataset())
    turned = displayed(RAMP, _dataset(PhotometricInterpretation="MONOCHROME1"))
    assert turned == pytest.approx(dark.max() + dark.min() - dark)


@pytest.mark.parametrize("polarity", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_dark_in_both_polarities(polarity: str) -> None:
    """Outside the field there is nothing, not bone."""
    padded = RAMP.copy()
    padded[:, :8] = 4095
    dataset = _dataset(PhotometricInterpretation=polarity, PixelPaddingValue=4095)
    grey = displayed(padded, dataset)
    assert (grey[:, :8] == grey[:, 8:].min()).all()


@pytest.mark.parametrize(("center", "width"), [(100, 0), (100, -5), (["1", "2"], None)])
def test_an_impossible_window_is_left_out(center: object, width: object) -> None:
    """The stretch of the preprocessing replaces it."""
    grey = displayed(RAMP, _dataset(WindowCenter=center, WindowWidth=width))
    assert len(np.unique(grey)) == 4096


def test_an_empty_modality_lut_leaves_the_rescale() -> None:
    """A sequence item without a descriptor is no table."""
    dataset = _dataset(WindowCenter=None, WindowWidth=None, RescaleSlope=3)
    dataset.ModalityLUTSequence = [Dataset()]
    assert displayed(RAMP, dataset).max() == 3 * 4095


def test_luminance_weighs_green_most() -> None:
    """ITU-R BT.601, also for 16 bit."""
    colours = np.eye(3, dtype=np.uint16)[None] * 1000
    assert luminance(colours)[0].tolist() == pytest.approx([299, 587, 114])


def test_a_rescale_without_numbers_is_left_out() -> None:
    """Some write both elements and nothing in them."""
    dataset = _dataset(WindowCenter=None, WindowWidth=None)
    dataset.RescaleSlope = dataset.RescaleIntercept = None
    assert np.array_equal(displayed(RAMP, dataset), RAMP)


def test_padding_of_signed_pixels_written_without_a_sign() -> None:
    """63536 means -2000."""
    signed = RAMP.astype(np.int16)
    signed[:8] = -2000
    dataset = _dataset(WindowCenter=None, WindowWidth=None)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    assert displayed(signed, dataset).min() == signed[8:].min()
