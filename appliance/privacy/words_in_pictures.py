"""Finds lines of text in a picture with a network on this box; it says where words are and does not read them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from appliance.privacy.errors import CannotDeidentify
from hardware.errors import BackendUnavailable
from hardware.onnxruntime_session import open_onnxruntime
from hardware.session import Session

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_NETWORK = Path(__file__).with_name("text_detector") / "network.onnx"
#: The network halves five times.
_STEP: Final = 32
_TILE_PX: Final = 1024
_OVERLAP_PX: Final = 128
#: A smaller picture is enlarged, so that its letters have the size of those the network learnt.
_LEAST_SIDE_PX: Final = 512
#: Two tiles and what they overlap by.
_MOST_SIDE_PX: Final = 1920
#: Nobody can read a word in less.
_LEAST_PICTURE_PX: Final = 12
#: A line is looked for at each of these probabilities: what is one with its surroundings at a low one is not at a high.
_LEVELS: Final = (0.2, 0.5, 0.8)
#: Part of something larger is a line only when the network is this sure.
_PEAK_INSIDE: Final = 0.95
#: The network marks the middle of a line. What is thicker than this, or than this share of the picture's shorter side,
#: is no line but a head or a lung.
_THICKEST_PX: Final = 36
_THICKEST_SHARE: Final = 0.08
_LEAST_AREA_PX: Final = 6
#: Area over circumference times this is what is missing around the middle.
_GROWTH: Final = 2.6
_MARGIN_PX: Final = 4
_LARGE_SHAPES_PX: Final = 12
_RAISED: Final = 2.0


class Sureness(NamedTuple):
    """What a line's pixels must reach: the surest of them, and all of them in the mean."""

    peak: float
    mean: float


#: Whatever may be words, and what surely is.
MAY_BE, SURELY = Sureness(0.5, 0.45), Sureness(0.9, 0.75)


def words_in(picture: Picture, sureness: Sureness = MAY_BE) -> Mask:
    """``(rows, columns)`` bool, True where lines of text are, of an ``(rows, columns, 3)`` 8-bit picture.

    Raises CannotDeidentify (``words_not_searched``): the network does not run here, or the picture is a long strip.
    """
    rows, columns = picture.shape[:2]
    factor = min(max(1.0, _LEAST_SIDE_PX / min(rows, columns)), 4.0, _MOST_SIDE_PX / max(rows, columns))
    found = np.zeros((rows, columns), dtype=np.bool_)
    if min(rows, columns) < _LEAST_PICTURE_PX:
        return found
    if min(rows, columns) * factor < _LEAST_PICTURE_PX:
        raise CannotDeidentify("words_not_searched", f"{rows} x {columns} pixels are too long a strip to be searched")
    for size in (factor, factor / 2, factor / 4):  # small letters are found in the large picture, large in the small
        found |= _scaled(_lines(_resized(picture, size), sureness), rows, columns)
    return found


def enhanced(grey: Picture) -> Picture:
    """A grey picture without its large shapes and with its small ones raised, so that faint letters stand out."""
    values = grey.astype(np.float32)
    fine = values - cv2.GaussianBlur(values, (0, 0), _LARGE_SHAPES_PX)
    return np.asarray(np.clip(128 + _RAISED * fine, 0, 255), dtype=np.uint8)


def smoothed_over(picture: Picture, mask: Mask) -> Picture:
    """The picture with what is under ``mask`` made of its surroundings, so that a second look sees no edges there."""
    made = picture.astype(np.float32)
    known = (~mask).astype(np.float32)
    shape = known[..., None] if picture.ndim == 3 else known
    weight = cv2.GaussianBlur(known, (0, 0), _LARGE_SHAPES_PX)
    weight = weight[..., None] if picture.ndim == 3 else weight
    around = cv2.GaussianBlur(made * shape, (0, 0), _LARGE_SHAPES_PX) / np.maximum(weight, 1e-3)
    made[mask] = around[mask]
    return np.asarray(np.clip(made, 0, 255), dtype=np.uint8)


def _resized(picture: Picture, factor: float) -> Picture:
    if factor == 1.0:
        return picture
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    size = max(round(picture.shape[1] * factor), 1), max(round(picture.shape[0] * factor), 1)
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)


def _scaled(mask: Mask, rows: int, columns: int) -> Mask:
    if mask.shape == (rows, columns):
        return mask
    scaled = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled > 0)


def _lines(picture: Picture, sureness: Sureness) -> Mask:
    rows, columns = picture.shape[:2]
    found = np.zeros((rows, columns), dtype=np.uint8)
    thickest = min(_THICKEST_PX, _THICKEST_SHARE * min(rows, columns))
    for top, left in _tiles(rows, columns):
        tile = picture[top : top + _TILE_PX, left : left + _TILE_PX]
        for corners in _quadrilaterals(_probabilities(tile), sureness, thickest):
            cv2.fillConvexPoly(found, np.round(corners + np.array([left, top])).astype(np.int32), 1)
    return np.asarray(cv2.dilate(found, np.ones((2 * _MARGIN_PX + 1,) * 2, np.uint8)) > 0)


def _tiles(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    for top in _starts(rows):
        for left in _starts(columns):
            yield top, left


def _starts(length: int) -> list[int]:
    last = max(length - _TILE_PX, 0)
    return sorted({*range(0, last, _TILE_PX - _OVERLAP_PX), last})


def _probabilities(tile: Picture) -> NDArray[np.float32]:
    rows, columns = tile.shape[:2]
    padded = np.zeros((-(-rows // _STEP) * _STEP, -(-columns // _STEP) * _STEP, 3), dtype=np.float32)
    padded[:rows, :columns] = tile
    image = (padded / 127.5 - 1.0).transpose(2, 0, 1)[None]
    try:
        found = _network().run(np.ascontiguousarray(image, dtype=np.float32))
    except BackendUnavailable as error:
        raise CannotDeidentify("words_not_searched", str(error)) from error
    return next(iter(found.values()))[0, 0, :rows, :columns]


def _quadrilaterals(
    probabilities: NDArray[np.float32], sureness: Sureness, thickest: float
) -> Iterator[NDArray[np.float32]]:
    for level in _LEVELS:
        count, labels, boxes, _ = cv2.connectedComponentsWithStats((probabilities > level).astype(np.uint8))
        for label in range(1, count):
            left, top, width, height, area = boxes[label]
            inside = labels[top : top + height, left : left + width] == label
            sure = probabilities[top : top + height, left : left + width][inside]
            peak = sureness.peak if level == _LEVELS[0] else max(sureness.peak, _PEAK_INSIDE)
            if area < _LEAST_AREA_PX or sure.max() < peak or sure.mean() < sureness.mean:
                continue
            points = np.argwhere(inside)[:, ::-1] + np.array([left, top])
            box = _grown(cv2.minAreaRect(points.astype(np.float32)), thickest)
            if box is not None:
                yield box


def _grown(rectangle: Any, thickest: float) -> NDArray[np.float32] | None:
    """The corners of the whole line whose middle this is; None: it is too thick for one."""
    centre, (width, height), angle = rectangle
    width, height = width + 1, height + 1
    if min(width, height) > thickest:
        return None
    grown = _GROWTH * width * height / (width + height)
    return np.asarray(cv2.boxPoints((centre, (width + grown, height + grown), angle)), dtype=np.float32)


@cache
def _network() -> Session:
    try:
        return open_onnxruntime(_NETWORK)
    except BackendUnavailable as error:
        raise CannotDeidentify("words_not_searched", str(error)) from error
