"""The deletion test of a heat map: cover what it calls hot, and the score has to fall more than elsewhere.

A map that pointed anywhere else would pass every test of shape and range. What is covered becomes as bright as the
picture is in the mean, behind a soft edge that is no structure itself. (A blur in its place takes less away: a blurred
opacity is still an opacity.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.preprocessing import FloatImage, centre_square, resize_square, to_tensor
from models.runner import PackRunner

#: Share of the picture that is covered.
SHARE = 0.2
_PLACES = 12
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Falls:
    """By how much the logit of the abnormality falls when the hottest part is covered, and when as much is covered
    in the same shape at random places (mean) and where the map is coldest."""

    hottest: float
    random: float
    coldest: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians over images; ``wins`` counts those where the hottest part mattered more than the random places.

    ``p_value`` is that of the one-sided sign test: how likely so many wins are for a map that means nothing.
    """

    images: int
    hottest: float
    random: float
    coldest: float
    wins: int
    p_value: float


def falls(runner: PackRunner, pixels: FloatImage, rng: np.random.Generator) -> Falls:
    """Cover parts of one ``(rows, columns)`` picture. Raises CannotTriage as :meth:`PackRunner.read`."""
    reading = runner.read(pixels)
    tensor = to_tensor(pixels, runner.pack.manifest.input)
    heat = resize_square(centre_square(reading.heat_map), tensor.shape[-1])
    hot = heat >= np.quantile(heat, 1.0 - SHARE)
    before = _logit(reading.abnormality)

    def fall(covered: NDArray[np.bool_]) -> float:
        return before - _logit(runner.abnormality(runner.infer(_without(tensor, covered))))

    shifts = rng.integers(0, len(heat), (4 * _PLACES, 2))
    moved = [np.roll(hot, (int(down), int(right)), axis=(0, 1)) for down, right in shifts]
    coldest = min(moved, key=lambda place: float(heat[place].sum()))
    return Falls(fall(hot), float(np.mean([fall(place) for place in moved[:_PLACES]])), fall(coldest))


def compared(all_falls: Iterable[Falls]) -> Comparison:
    """What the falls of many pictures say together."""
    table = np.array([(one.hottest, one.random, one.coldest) for one in all_falls])
    wins, count = int((table[:, 0] > table[:, 1]).sum()), len(table)
    hottest, random, coldest = (float(value) for value in np.median(table, axis=0))
    return Comparison(count, hottest, random, coldest, wins, _sign_test(wins, count))


def _without(tensor: FloatImage, covered: NDArray[np.bool_]) -> FloatImage:
    weight = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), tensor.shape[-1] / 56)
    changed: FloatImage = (tensor * (1.0 - weight) + tensor.mean() * weight).astype(np.float32)
    return changed


def _logit(probability: float) -> float:
    within = min(max(probability, _LEAST), 1.0 - _LEAST)
    return float(np.log(within / (1.0 - within)))


def _sign_test(wins: int, count: int) -> float:
    """The chance of at least ``wins`` heads in ``count`` throws of a coin."""
    return float(sum(math.comb(count, heads) for heads in range(wins, count + 1)) / 2**count)
