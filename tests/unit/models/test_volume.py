"""Slices of a series become a volume, or a reason why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from models.errors import CannotTriage
from models.pixel_limits import PixelLimits
from models.reasons import Reason
from models.volume import Place, place_of, read_volume, stacked
from tests.dicom_factory import chest_pixels, chest_radiograph

SMALL = chest_pixels(20, 28)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _slice(number: int, **overrides: Any) -> Dataset:
    place: dict[str, Any] = {"ImagePositionPatient": [-10, -20, 5 * number], "ImageOrientationPatient": [*AXIAL]}
    rescale = {"RescaleSlope": 1, "RescaleIntercept": -1024, "PixelSpacing": [0.7, 0.8]}
    return chest_radiograph(seed=str(number), pixels=SMALL + number, **(place | rescale | overrides))


def _place(number: float, **changes: Any) -> Place:
    return replace(Place((0.0, 0.0, number), AXIAL, (0.7, 0.7), (20, 28)), **changes)


def test_a_volume_in_geometric_order() -> None:
    """Whatever the order of arrival; values in what they measure."""
    volume = read_volume([(_slice(number), 0) for number in (3, 0, 4, 1, 2)])
    assert volume.values.shape == (5, 20, 28)
    assert np.array_equal(volume.values[3], SMALL.astype(np.float32) + 3 - 1024)
    assert volume.spacing_mm == (5.0, 0.7, 0.8)
    assert volume.stack.is_whole


def test_frames_of_an_enhanced_object() -> None:
    """Each frame says where it lies in its own functional group (PS3.3 C.7.6.16.2.3)."""
    dataset = _slice(0, NumberOfFrames=3, ImagePositionPatient=None)
    dataset.PixelData = b"".join((SMALL + number).astype("<u2").tobytes() for number in range(3))
    groups = []
    for number in (2, 0, 1):
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, 5 * number]
        group.PlanePositionSequence = Sequence([position])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    volume = read_volume([(dataset, index) for index in range(3)])
    assert volume.stack.order == (1, 2, 0)
    assert np.array_equal(volume.values[2], SMALL.astype(np.float32) - 1024)


def test_a_missing_and_a_double_slice() -> None:
    """Both are named; of two at one place the first counts."""
    volume = read_volume([(_slice(number), 0) for number in (0, 1, 2, 5, 6, 7, 8)] + [(_slice(2), 0)])
    assert volume.values.shape[0] == 7
    assert [(gap.after, gap.missing) for gap in volume.stack.gaps] == [(2, 2)]
    assert volume.stack.duplicates == ((7, 2),)
    assert not volume.stack.is_whole


@pytest.mark.parametrize(
    "other",
    [
        _place(9, orientation=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0)),
        _place(9, shape=(28, 20)),
        _place(9, spacing=(0.7, 0.9)),
    ],
    ids=["localiser", "size", "spacing"],
)
def test_what_does_not_belong_to_the_others(other: Place) -> None:
    """One that is not parallel, or of another size, makes no volume."""
    with pytest.raises(CannotTriage) as caught:
        stacked([_place(1), _place(2), other])
    assert caught.value.reason is Reason.no_place


def test_uneven_and_tilted() -> None:
    """Said, and left to whoever wants the volume."""
    assert stacked([_place(number) for number in (0, 1, 2.2, 3, 4)]).uneven
    shifted = [_place(0, position=(0.0, 0.4 * number, float(number))) for number in range(5)]
    assert stacked(shifted).tilted


def test_one_slice_and_none() -> None:
    """One is a volume without a distance."""
    assert stacked([_place(3)]).distance_mm == 0.0
    with pytest.raises(CannotTriage):
        stacked([])


@pytest.mark.parametrize(
    "overrides",
    [{"ImagePositionPatient": None}, {"ImageOrientationPatient": [1, 0, 0]}, {"PixelSpacing": [0, 1]}],
)
def test_slices_without_a_place(overrides: dict[str, Any]) -> None:
    """Position, orientation and spacing are all needed."""
    with pytest.raises(CannotTriage) as caught:
        place_of(_slice(1, **overrides))
    assert caught.value.reason is Reason.no_place


def test_not_over_the_limit() -> None:
    """All slices together have to fit."""
    slices = [(_slice(number), 0) for number in range(3)]
    assert read_volume(slices, PixelLimits(max_decoded_bytes=3 * 4 * SMALL.size)).stack.is_whole
    with pytest.raises(CannotTriage) as caught:
        read_volume(slices, PixelLimits(max_decoded_bytes=3 * 4 * SMALL.size - 1))
    assert caught.value.reason is Reason.too_large
