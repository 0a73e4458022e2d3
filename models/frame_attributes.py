"""What the header says of one frame: in enhanced objects it stands in functional groups (PS3.3 C.7.6.16)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from pydicom.dataset import Dataset

from models.grey_scale import FloatImage
from models.tolerant_reading import UNREADABLE, quietly

#: The macros that change what a frame looks like or say where it lies (PS3.3 C.7.6.16.2).
_MACROS = (
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
)
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness", "SpacingBetweenSlices")
#: The most exact first; each is row spacing\column spacing (PS3.3 10.7.1).
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_ALMOST_SQUARE, _LONGEST = 0.01, 16.0


def frame_attributes(dataset: Dataset, index: int = 0) -> Dataset:
    """The elements of group 0028 and of the place in space that hold for frame ``index``, from 0, on one level.

    What is shared by all frames goes before what the header says as a whole, and the frame's own before both.
    """
    attributes = dataset.group_dataset(0x0028)
    attributes.set_original_encoding(*_encoding(dataset))
    with quietly():
        for keyword in (*_PLACE, "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            _copy(dataset, attributes, keyword)
        for group in (_item(dataset, "SharedFunctionalGroupsSequence", 0), _item(dataset, _OF_EACH, index)):
            for macro in _MACROS:
                _put(_item(group, macro, 0), attributes)
    return attributes


_OF_EACH = "PerFrameFunctionalGroupsSequence"


def square_pixels(grey: FloatImage, attributes: Dataset, most_pixels: int) -> FloatImage:
    """The image with pixels as high as wide, made from the spacing or the aspect ratio (PS3.3 C.7.6.3.1.7).

    The side whose pixels are longer gets more of them, so nothing is lost; an image that would be over
    ``most_pixels``, or whose ratio nobody can believe, stays as it is.
    """
    ratio = _height_by_width(attributes)
    if abs(ratio - 1.0) < _ALMOST_SQUARE or not 1 / _LONGEST <= ratio <= _LONGEST:
        return grey
    rows, columns = grey.shape
    rows, columns = round(rows * max(ratio, 1.0)), round(columns * max(1.0 / ratio, 1.0))
    if rows * columns > most_pixels:
        return grey
    return cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)


def numbers(attributes: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The ``count`` finite values of an element; None when it has others, or none."""
    try:
        with quietly():
            values = tuple(float(value) for value in attributes.get(keyword) or ())
    except UNREADABLE:
        return None
    return values if len(values) == count and all(np.isfinite(values)) else None


def _height_by_width(attributes: Dataset) -> float:
    for keyword in (*_SPACINGS, "PixelAspectRatio"):
        sides = numbers(attributes, keyword, 2)
        if sides is not None and min(sides) > 0:
            return sides[0] / sides[1]
    return 1.0


def _encoding(dataset: Dataset) -> tuple[Any, ...]:
    return (*dataset.original_encoding, dataset.original_character_set)


def _put(macro: Dataset | None, attributes: Dataset) -> None:
    for element in macro or ():
        attributes[element.tag] = element


def _copy(source: Dataset, target: Dataset, keyword: str) -> None:
    try:
        if keyword in source:
            target[keyword] = source[keyword]
    except UNREADABLE:
        return


def _item(dataset: Dataset | None, keyword: str, index: int) -> Dataset | None:
    try:
        sequence = dataset.get(keyword) if dataset is not None else None
        return sequence[index] if sequence else None
    except UNREADABLE:
        return None
