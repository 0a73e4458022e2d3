"""What holds for one frame, and pixels that are not square."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from models.frame_attributes import frame_attributes, square_pixels
from models.pixels import grey_frame, grey_image
from tests.dicom_factory import chest_pixels, chest_radiograph

SMALL = chest_pixels(20, 28)


def _item(**elements: Any) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _group(**macros: Dataset) -> Dataset:
    return _item(**{keyword: Sequence([item]) for keyword, item in macros.items()})


def _enhanced(frames: int) -> Dataset:
    dataset = chest_radiograph(pixels=SMALL, WindowCenter=None, WindowWidth=None, NumberOfFrames=frames)
    dataset.PixelData = dataset.PixelData * frames
    shared = _group(PixelValueTransformationSequence=_item(RescaleIntercept=-5, RescaleSlope=2, RescaleType="US"))
    each = [
        _group(FrameVOILUTSequence=_item(WindowCenter=1000 * (number + 1), WindowWidth=500)) for number in range(frames)
    ]
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(each)
    return dataset


def test_functional_groups_of_the_frame() -> None:
    """The rescale of all, the window of each (PS3.3 C.7.6.16.2)."""
    attributes = frame_attributes(_enhanced(3), 1)
    assert (attributes.RescaleIntercept, attributes.RescaleSlope) == (-5, 2)
    assert (attributes.WindowCenter, attributes.WindowWidth) == (2000, 500)


def test_each_frame_is_seen_through_its_own_window() -> None:
    """The same values, two windows, two pictures; and one frame alone is an image like any other."""
    dataset = _enhanced(2)
    first, second = (grey_frame(dataset, index) for index in range(2))
    assert first.mean() > second.mean() + 100
    assert np.array_equal(grey_image(_enhanced(1)), first)


def test_a_broken_group_is_as_good_as_absent() -> None:
    """Fewer groups than frames."""
    dataset = _enhanced(2)
    del dataset.PerFrameFunctionalGroupsSequence[1]
    assert "WindowCenter" not in frame_attributes(dataset, 1)


@pytest.mark.parametrize(
    ("elements", "shape"),
    [
        ({"PixelAspectRatio": [2, 1]}, (40, 28)),
        ({"PixelAspectRatio": [1, 2]}, (20, 56)),
        ({"PixelSpacing": [0.3, 0.2]}, (30, 28)),
        ({"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]}, (20, 28)),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (40, 28)),
        ({"PixelSpacing": [0.2, 0.2001]}, (20, 28)),
        ({"PixelSpacing": [0.0, 0.2]}, (20, 28)),
        ({"PixelSpacing": [1000.0, 0.2]}, (20, 28)),
        ({"PixelAspectRatio": None}, (20, 28)),
    ],
)
def test_pixels_become_square(elements: dict[str, Any], shape: tuple[int, int]) -> None:
    """The longer side gets more pixels; what nobody can believe changes nothing."""
    dataset = chest_radiograph(pixels=SMALL, PixelSpacing=None, ImagerPixelSpacing=None)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    assert grey_image(dataset).shape == shape


def test_not_over_the_limit() -> None:
    """An image that would become too large stays as it is."""
    attributes = _item(PixelSpacing=[8.0, 1.0])
    grey = SMALL.astype(np.float32)
    assert square_pixels(grey, attributes, 8 * SMALL.size).shape == (160, 28)
    assert square_pixels(grey, attributes, 8 * SMALL.size - 1) is grey
