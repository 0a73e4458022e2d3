"""Slices → a volume in geometric order, with what is missing or there twice (PS3.3 C.7.6.2.1.1).

Instance Number and the order of arrival say nothing that can be relied on; position and orientation do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from models.errors import CannotTriage
from models.frame_attributes import frame_attributes, numbers
from models.frames import checked, stored_frame
from models.grey_scale import FloatImage, rescaled
from models.pixel_limits import DEFAULT_LIMITS, PixelLimits
from models.reasons import Reason

_SAME_DIRECTION = 1e-3
#: Parts of the usual distance: less is the same place, more off it is uneven, half as much again leaves room for more.
_SAME_PLACE, _UNEVEN, _GAP = 0.01, 0.1, 1.5
_SMALLEST_MM = 1e-3


@dataclass(frozen=True, slots=True)
class Place:
    """Where one slice lies, mm in the patient's coordinates: its first pixel, the directions of rows and columns."""

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """``missing`` slices are not there behind slice ``after`` of the order."""

    after: int
    missing: int


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices along their normal.

    ``order`` are indices of the places that were given, without those that are there twice; ``duplicates`` pairs of
    (the one left out, the one in its place); ``distance_mm`` from one slice to the next, usually, 0 for a single one.
    ``uneven`` when a distance is off by more than a tenth without a slice missing; ``tilted`` when the slices are
    shifted against each other, as with a tilted gantry.
    """

    order: tuple[int, ...]
    distance_mm: float
    gaps: tuple[Gap, ...]
    duplicates: tuple[tuple[int, int], ...]
    uneven: bool
    tilted: bool

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing, double, uneven or shifted."""
        return not (self.gaps or self.duplicates or self.uneven or self.tilted)


@dataclass(frozen=True, slots=True)
class Volume:
    """``values`` ``(slices, rows, columns)`` float32 after the Modality LUT, ``spacing_mm`` in the same order."""

    values: NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    stack: Stack


def place_of(dataset: Dataset, index: int = 0) -> Place:
    """Where frame ``index`` lies.

    Raises CannotTriage: ``unreadable_pixels``; ``no_place`` when position, orientation or spacing is missing.
    """
    pixel, attributes = checked(dataset), frame_attributes(dataset, index)
    position = numbers(attributes, "ImagePositionPatient", 3)
    orientation = numbers(attributes, "ImageOrientationPatient", 6)
    spacing = numbers(attributes, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or min(spacing) <= 0:
        raise CannotTriage(Reason.no_place, "position, orientation or spacing is missing")
    return Place(position, orientation, spacing, (pixel.rows, pixel.columns))


def stacked(places: Sequence[Place]) -> Stack:
    """The order of the slices along their normal, and what is wrong with it.

    Raises CannotTriage: ``no_place`` when they are not parallel or not of one size, as a localiser among them is.
    """
    if not places:
        raise CannotTriage(Reason.no_place, "no slices")
    first = places[0]
    if any(one.shape != first.shape or not np.allclose(one.spacing, first.spacing, rtol=1e-3) for one in places):
        raise CannotTriage(Reason.no_place, "the slices are not of one size")
    if any(not np.allclose(one.orientation, first.orientation, atol=_SAME_DIRECTION) for one in places):
        raise CannotTriage(Reason.no_place, "the slices are not parallel")
    positions = np.array([one.position for one in places])
    normal = _normal(first)
    along = positions @ normal
    order, duplicates = _without_twice(along)
    steps = np.diff(along[list(order)])
    usual = float(np.median(steps)) if len(steps) else 0.0
    gaps = [Gap(at, round(step / usual) - 1) for at, step in enumerate(steps) if step > _GAP * usual]
    uneven = any(abs(step / usual - 1) > _UNEVEN for step in steps if step <= _GAP * usual)
    across = positions[list(order)] - np.outer(along[list(order)], normal)
    tilted = bool(np.abs(across - across[0]).max() > min(first.spacing) / 2)
    return Stack(order, usual, tuple(gaps), duplicates, uneven, tilted)


def read_volume(slices: Sequence[tuple[Dataset, int]], limits: PixelLimits = DEFAULT_LIMITS) -> Volume:
    """Decode ``(data set, frame index)`` in geometric order; of two at one place the first counts.

    Raises CannotTriage: as :func:`place_of`, :func:`stacked` and ``stored_frame``; ``too_large`` when all of it is over
    ``limits.max_decoded_bytes``.
    """
    places = [place_of(dataset, index) for dataset, index in slices]
    stack, (rows, columns) = stacked(places), places[0].shape
    size = 4 * len(stack.order) * rows * columns
    if size > limits.max_decoded_bytes:
        raise CannotTriage(Reason.too_large, f"{size} bytes decoded, the limit is {limits.max_decoded_bytes}")
    values = np.empty((len(stack.order), rows, columns), np.float32)
    for at, number in enumerate(stack.order):
        values[at] = _measured(*slices[number], limits)
    row_mm, column_mm = places[0].spacing
    return Volume(values, (stack.distance_mm, row_mm, column_mm), stack)


def _measured(dataset: Dataset, index: int, limits: PixelLimits) -> FloatImage:
    stored = stored_frame(dataset, index, limits)
    if stored.ndim != 2:
        raise CannotTriage(Reason.unreadable_pixels, "a slice in colour")
    return rescaled(stored, frame_attributes(dataset, index)).astype(np.float32)


def _normal(place: Place) -> NDArray[np.float64]:
    normal = np.cross(place.orientation[:3], place.orientation[3:])
    length = float(np.linalg.norm(normal))
    if abs(length - 1.0) > 0.01:
        raise CannotTriage(Reason.no_place, "rows and columns are not at right angles")
    return np.asarray(normal / length, dtype=np.float64)


def _without_twice(along: NDArray[np.float64]) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """Indices by place, the first given of those at one place; and the others, each with the one that stays."""
    by_place = [int(number) for number in np.argsort(along, kind="stable")]
    steps = np.diff(along[by_place])
    apart = steps[steps > _SMALLEST_MM]
    near = max(_SAME_PLACE * float(np.median(apart)), _SMALLEST_MM) if len(apart) else _SMALLEST_MM
    groups: list[list[int]] = []
    for number in by_place:
        if groups and along[number] - along[groups[-1][0]] <= near:
            groups[-1].append(number)
        else:
            groups.append([number])
    kept = [min(group) for group in groups]
    twice = [(number, min(group)) for group in groups for number in group if number != min(group)]
    return tuple(kept), tuple(sorted(twice))
