"""Synthetic images for demonstration and golden sets: chests of nobody, a CT slice and a hand, marked as synthetic."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint16]
_LARGEST = 4095  # 12 bits, as a detector delivers them


class SyntheticChest:
    """Draws chest radiographs from the principal-component models in ``synthetic_chest.npz``."""

    def __init__(self) -> None:
        with files("models").joinpath("synthetic_chest.npz").open("rb") as stream, np.load(stream) as arrays:
            self._arrays: dict[str, NDArray[Any]] = {name: arrays[name] for name in arrays.files}

    def draw(self, disease: float, seed: int, side_px: int = 512) -> Picture:
        """One radiograph ``(side, side)`` uint16 of 12 bits, brighter = denser.

        Args:
            disease: 0 draws from the normal model, 1 from the pneumonia model, between them a mixture.
            seed: the same seed gives the same picture.
        """
        normal, ill = self._sample("normal", seed), self._sample("pneumonia", seed)
        flat = (1.0 - disease) * normal + disease * ill
        side = round(np.sqrt(flat.size))
        small = np.clip(flat.reshape(side, side), 0.0, 1.0).astype(np.float32)
        large = cv2.resize(small, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
        grain = np.random.default_rng(seed).normal(0.0, 0.006, large.shape)
        drawn: Picture = np.rint(np.clip(large + grain, 0.0, 1.0) * _LARGEST).astype(np.uint16)
        return drawn

    def _sample(self, name: str, seed: int) -> NDArray[np.float64]:
        spread = self._arrays[f"{name}_spread"].astype(np.float64)
        weights = np.random.default_rng(seed).normal(0.0, 0.7, spread.size) * spread
        mean = self._arrays[f"{name}_mean"].astype(np.float64) / 255.0
        return mean + weights @ self._arrays[f"{name}_components"].astype(np.float64)


def ct_slice(side_px: int = 256) -> Picture:
    """An abdomen-like phantom: body, spine and two round organs, in stored values 0..4095."""
    canvas = np.zeros((side_px, side_px), np.float32)
    centre = (side_px // 2, side_px // 2)
    parts = [((0.0, 0.0), (0.44, 0.34), 1050), ((0.0, 0.2), (0.07, 0.07), 1700)]
    parts += [((-0.2, 0.0), (0.12, 0.1), 1120), ((0.2, 0.02), (0.1, 0.09), 1100)]
    for (right, down), (width, height), value in parts:
        middle = (round(centre[0] + right * side_px), round(centre[1] + down * side_px))
        axes = (round(width * side_px), round(height * side_px))
        cv2.ellipse(canvas, middle, axes, 0, 0, 360, float(value), -1)
    return _finished(canvas, seed=1)


def hand(side_px: int = 384) -> Picture:
    """A hand-like radiograph: a palm and five fingers of two-tone bone."""
    canvas = np.zeros((side_px, side_px), np.float32)
    wrist = np.array([side_px * 0.5, side_px * 0.98])
    for angle, length in zip((-52, -22, -6, 10, 27), (0.55, 0.78, 0.86, 0.8, 0.68), strict=True):
        radians = np.deg2rad(angle)
        tip = wrist + side_px * length * np.array([np.sin(radians), -np.cos(radians)])
        for width, value in ((0.085, 900.0), (0.04, 2600.0)):
            ends = [(round(float(x)), round(float(y))) for x, y in (wrist, tip)]
            cv2.line(canvas, ends[0], ends[1], value, max(1, round(side_px * width)), cv2.LINE_AA)
    return _finished(canvas, seed=2)


def head_slice(lesion: float, seed: int, side_px: int = 256) -> Picture:
    """An axial slice of a head as T1-weighted MR draws it; ``lesion`` 0..1 is how bright a round mass stands out."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((side_px, side_px), np.float32)
    middle = side_px // 2
    for share, value in ((0.46, 2600.0), (0.42, 300.0), (0.39, 1300.0)):
        axes = (round(side_px * share * 0.8), round(side_px * share))
        cv2.ellipse(canvas, (middle, middle), axes, 0, 0, 360, value, -1)
    folds = cv2.GaussianBlur(rng.normal(0, 1, canvas.shape).astype(np.float32), (0, 0), side_px / 50)
    canvas += np.where(canvas == 1300.0, folds / folds.std() * 160.0, 0.0).astype(np.float32)
    for side in (-1, 1):
        at = (middle + side * side_px // 16, middle - side_px // 20)
        cv2.ellipse(canvas, at, (side_px // 30, side_px // 9), side * 12, 0, 360, 450.0, -1)
    where = tuple(middle + round(float(offset) * side_px) for offset in rng.uniform(-0.18, 0.18, 2))
    cv2.circle(canvas, where, side_px // 10, 1300.0 + 1700.0 * lesion, -1, cv2.LINE_AA)
    return _finished(canvas, seed)


def breast_scan(lesion: float, seed: int, side_px: int = 256) -> Picture:
    """Layered speckle as breast ultrasound draws it; ``lesion`` 0..1 is how dark a round mass with shadow is."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side_px, 0:side_px].astype(np.float32) / side_px
    layers = 1500.0 + 500.0 * np.sin(rows * 40.0 + 3.0 * np.sin(columns * 5.0 + seed)) - 900.0 * rows
    right, down = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.5)
    inside = ((columns - right) / 0.14) ** 2 + ((rows - down) / 0.1) ** 2 < 1.0
    shadow = (np.abs(columns - right) < 0.1) & (rows > down)
    layers *= 1.0 - lesion * (0.8 * inside + 0.4 * (shadow & ~inside))
    speckle = cv2.GaussianBlur(rng.rayleigh(1.0, layers.shape).astype(np.float32), (0, 0), side_px / 180)
    return _finished((layers * speckle).astype(np.float32), seed)


def _finished(canvas: NDArray[np.float32], seed: int) -> Picture:
    soft = cv2.GaussianBlur(canvas, (0, 0), 1.2)
    grain = np.random.default_rng(seed).normal(0.0, 12.0, soft.shape)
    finished: Picture = np.clip(soft + grain, 0, _LARGEST).astype(np.uint16)
    return finished
