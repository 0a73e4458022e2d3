"""Fits the gate of a pack: what the intended pictures look like, against other pictures and against spoiled ones.

Spoiled pictures are made from the intended ones themselves: turned over, inverted, written over, half empty. Pictures
of other kinds come from folders that the recipe is given. Both lines of the gate are set on intended pictures of the
calibration part, also with every change of the robustness report, because those have to pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from models.gate import Gate
from models.picture_changes import PICTURE_CHANGES
from models.recipes.augmentation import HARD_VERSIONS, Image

Features = NDArray[np.float32]
Spoil = Callable[[Image, np.random.Generator], Image]
#: Share of intended pictures that each of the two lines may refuse, on the calibration part.
REFUSED_SHARE = 0.005
_AXES = 48
_MARGIN = 1.05
_WORDS = ("NAME", "DATE", "kVp 70", "ID 000", "SERIES 1", "W 400 L 40", "ACQ", "mm", "TEST", "PHANTOM", "Report")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Features of intended pictures, as they are and changed mildly, and of all that has to be refused."""

    intended: Features
    others: Features


def _written_over(image: Image, rng: np.random.Generator) -> Image:
    """Lines of text over much of the picture, as on a screen capture or a report page."""
    written, size = image.copy(), image.shape[0]
    for _ in range(int(rng.integers(8, 20))):
        at = (int(rng.integers(-10, size // 2)), int(rng.integers(8, size)))
        word = " ".join(rng.choice(_WORDS, 3))
        colour = int(rng.choice([0, 255]))
        cv2.putText(written, word, at, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.3, 0.6)), colour, 1)
    return written


def _on_a_screen(image: Image, rng: np.random.Generator) -> Image:
    """The picture small on a flat page with text beside it."""
    size = image.shape[0]
    page = np.full_like(image, int(rng.choice([0, 20, 230, 255])))
    side = int(size * rng.uniform(0.35, 0.65))
    top, left = (int(rng.integers(0, size - side)) for _ in range(2))
    page[top : top + side, left : left + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    for line in range(int(rng.integers(2, 8))):
        at = (int(rng.integers(0, size // 3)), 12 + line * 14)
        cv2.putText(page, " ".join(rng.choice(_WORDS, 3)), at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 128, 1)
    return page


def _half_empty(image: Image, rng: np.random.Generator) -> Image:
    cut, size = image.copy(), image.shape[0]
    cut[int(size * rng.uniform(0.3, 0.6)) :] = int(rng.integers(0, 255))
    return np.rot90(cut, int(rng.integers(4))).copy()


def _shuffled(image: Image, rng: np.random.Generator) -> Image:
    """Tiles out of order: the right textures in the wrong places."""
    half = image.shape[0] // 2
    tiles = [image[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    order = rng.permutation([1, 2, 3, 0]) if rng.random() < 0.5 else [3, 2, 1, 0]
    a, b, c, d = (tiles[i] for i in order)
    odd = image.shape[0] % 2
    return np.pad(np.block([[a, b], [c, d]]), (0, odd), mode="edge").astype(np.uint8)


def _pattern(image: Image, rng: np.random.Generator) -> Image:
    """Nothing of the picture: noise, a ramp, a grid or blobs."""
    size = image.shape[0]
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    kind, coarse = int(rng.integers(4)), int(rng.integers(2, 24))
    drawn: NDArray[Any]
    if kind == 0:
        drawn = rng.random((size, size)).astype(np.float32)
    elif kind == 1:
        drawn = np.clip(rows * rng.uniform(-1, 1) + columns * rng.uniform(-1, 1) + 0.5, 0, 1)
    elif kind == 2:
        drawn = ((rows * coarse).astype(int) + (columns * coarse).astype(int)).astype(np.float32) % 2
    else:
        drawn = cv2.resize(rng.random((coarse, coarse)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(drawn * 255, 0, 255).astype(np.uint8)


#: What is done to intended pictures to make them pictures that have to be refused.
SPOILED: dict[str, Spoil] = {
    "inverted": lambda image, _rng: 255 - image,
    "upside down": lambda image, _rng: image[::-1].copy(),
    "turned left": lambda image, _rng: np.rot90(image).copy(),
    "turned right": lambda image, _rng: np.rot90(image, 3).copy(),
    "written over": _written_over,
    "on a screen": _on_a_screen,
    "half empty": _half_empty,
    "shuffled": _shuffled,
    "pattern": _pattern,
}


#: What has to pass all the same, and what the bound has to survive.
MILD: dict[str, Spoil] = {
    **PICTURE_CHANGES,
    "sharpened": HARD_VERSIONS["sharpened"],
    "96 px": HARD_VERSIONS["96 px"],
    "mirrored": lambda image, _rng: image[:, ::-1].copy(),
}


def changed(pixels: NDArray[np.uint8], changes: dict[str, Spoil], seed: int) -> NDArray[np.uint8]:
    """Each picture of ``(n, s, s)`` with one of the changes, in turn."""
    rng, kinds = np.random.default_rng(seed), list(changes.values())
    return np.stack([kinds[index % len(kinds)](picture, rng) for index, picture in enumerate(pixels)])


def fit_gate(train: Pictures, calibration: Features) -> Gate:
    """Fit on ``train``; set both lines so that each refuses at most 0.5 % of ``calibration (n, f)``."""
    centre = train.intended.mean(axis=0)
    spread = train.intended.std(axis=0) + 1e-3
    free = Gate(
        centre=centre.astype(np.float32),
        spread=spread.astype(np.float32),
        weight=np.zeros_like(centre),
        offset=np.array(0, np.float32),
        axes=np.zeros((1, centre.size), np.float32),
        variance=np.ones(1, np.float32),
        left_over=np.array(1, np.float32),
        least=np.array(-np.inf, np.float32),
        farthest=np.array(np.inf, np.float32),
    )
    intended, others = free.standardised(train.intended), free.standardised(train.others)
    told = LogisticRegression(C=1e-3, max_iter=2000, class_weight="balanced")
    told.fit(np.concatenate([intended, others]), np.r_[np.ones(len(intended)), np.zeros(len(others))])
    # With few features or pictures fewer axes, so that something is left over outside of them.
    axes = PCA(n_components=max(1, min(_AXES, *(side // 2 for side in intended.shape))), random_state=0).fit(intended)
    along = intended @ axes.components_.T
    outside = (intended**2).sum(axis=1) - (along**2).sum(axis=1)
    fitted: dict[str, NDArray[np.float32]] = {
        "centre": free.centre,
        "spread": free.spread,
        "weight": told.coef_[0].astype(np.float32),
        "offset": np.array(told.intercept_[0], np.float32),
        "axes": axes.components_.astype(np.float16).astype(np.float32),
        "variance": (along**2).mean(axis=0).astype(np.float32),
        "left_over": np.array(outside.mean(), np.float32),
    }
    open_gate = Gate(**fitted, least=free.least, farthest=free.farthest)
    least = np.quantile(open_gate.likeness(calibration), REFUSED_SHARE)
    farthest = np.quantile(open_gate.distance(calibration), 1 - REFUSED_SHARE) * _MARGIN
    lines = {"least": np.array(least, np.float32), "farthest": np.array(farthest, np.float32)}
    return Gate(**fitted, **lines)


def refused_share(gate: Gate, features: Features) -> float:
    """The share of ``(n, f)`` that the gate refuses."""
    return float((gate.inside(features) < 0.0).mean())
