"""Measures of scores against the truth, each over weighted images, so that one definition serves the bootstrap too.

``positive (n,)`` bool, ``scores (n,)`` float64, ``weights (n,)`` float64: how often an image counts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]

ECE_BINS = 15
_Z = 1.959964  # of a two-sided 95 % interval


def share(hits: Mask, weights: Numbers) -> float | None:
    """The weighted share of hits; None when nothing has any weight."""
    total = float(weights.sum())
    return float(weights[hits].sum()) / total if total > 0 else None


def ranks(scores: Numbers) -> NDArray[np.int64]:
    """``(n,)`` the place of each score among the different ones, from 0; equal scores share a place."""
    places: NDArray[np.int64] = np.unique(scores, return_inverse=True)[1].astype(np.int64)
    return places


def auc(positive: Mask, scores: Numbers, weights: Numbers | None = None) -> float | None:
    """The chance that a positive image scores above a negative one, ties count half; None with one class."""
    return ranked_auc(positive, ranks(scores), np.ones(len(scores)) if weights is None else weights)


def ranked_auc(positive: Mask, places: NDArray[np.int64], weights: Numbers) -> float | None:
    """As :func:`auc`, of scores that :func:`ranks` has put in order already."""
    above = np.bincount(places, weights * positive)
    below = np.bincount(places, weights * ~positive)
    pairs = float(above.sum() * below.sum())
    if pairs == 0.0:
        return None
    return float((above * (np.cumsum(below) - below / 2.0)).sum()) / pairs


def ece(positive: Mask, probabilities: Numbers, weights: Numbers | None = None, bins: int = ECE_BINS) -> float | None:
    """Expected calibration error: how far probability and frequency are apart, over ``bins`` equal widths."""
    weights = np.ones(len(probabilities)) if weights is None else weights
    total = float(weights.sum())
    if total == 0.0:
        return None
    bin_of = bins_of(probabilities, bins)
    gap = np.bincount(bin_of, weights * probabilities, bins) - np.bincount(bin_of, weights * positive, bins)
    return float(np.abs(gap).sum()) / total


def bins_of(probabilities: Numbers, bins: int) -> NDArray[np.int64]:
    """``(n,)`` which of ``bins`` equal widths each probability lies in; 1.0 is in the last."""
    which: NDArray[np.int64] = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return which


def wilson(hits: int, of: int) -> tuple[float, float] | None:
    """The two-sided 95 % score interval of a share (Wilson 1927), within 0..1; None of nothing."""
    if of == 0:
        return None
    share_of_hits, square = hits / of, _Z * _Z
    centre = (share_of_hits + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(share_of_hits * (1 - share_of_hits) / of + square / (4 * of * of))
    # The interval holds the share itself; without these, rounding can leave 0 or 1 just outside.
    return max(min(centre - half, share_of_hits), 0.0), min(max(centre + half, share_of_hits), 1.0)


def upper_limit(wrong: int, of: int, confidence: float = 0.95) -> float:
    """The one-sided Clopper–Pearson limit of a share: it is below this with ``confidence``; 1 when ``of`` is 0."""
    if wrong >= of:
        return 1.0
    low, high = wrong / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _at_most(wrong, of, middle) > 1.0 - confidence else (low, middle)
    return high


def _at_most(wrong: int, of: int, chance: float) -> float:
    """The binomial probability of ``wrong`` or fewer out of ``of``; ``chance`` is in 0..1, both excluded."""
    if chance <= 0.0:
        return 1.0
    hit, miss = math.log(chance), math.log1p(-chance)
    ways = [math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in range(wrong + 1)]
    return math.fsum(math.exp(way + k * hit + (of - k) * miss) for k, way in enumerate(ways))
