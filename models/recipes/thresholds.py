"""Calibration and thresholds, chosen on the calibration split with the very network that ships.

The routine threshold is the highest at which the share of abnormal among the images called routine is below the
bound with 95 % confidence (exact binomial, Clopper–Pearson), tested upwards from zero and stopped at the first
failure. A bound that cannot be met leaves fewer images routine; it is never loosened.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Bound:
    """At most ``share`` of wrong ones among those decided, with ``confidence``."""

    share: float
    confidence: float = 0.95


def platt(logits: Scores, labels: Scores) -> tuple[float, float]:
    """``(temperature, bias)`` so that ``sigmoid(logit / temperature + bias)`` is a probability."""
    fitted = LogisticRegression(C=1e6).fit(logits[:, None], labels)
    return float(1.0 / fitted.coef_[0, 0]), float(fitted.intercept_[0])


def upper_limit(wrong: int, decided: int, confidence: float) -> float:
    """Clopper–Pearson upper limit of a share; 1 when nothing was decided."""
    if wrong >= decided:
        return 1.0
    return float(beta.ppf(confidence, wrong + 1, decided - wrong))


def highest_routine_threshold(probabilities: Scores, labels: Scores, bound: Bound) -> float:
    """The highest threshold below which at most ``bound.share`` are abnormal; 0 when there is none."""
    best = 0.0
    for threshold in np.unique(probabilities):
        below = probabilities < threshold
        wrong, decided = int(labels[below].sum()), int(below.sum())
        if upper_limit(wrong, decided, bound.confidence) <= bound.share:
            best = float(threshold)
    return best


def lowest_urgent_threshold(probabilities: Scores, labels: Scores, bound: Bound) -> float:
    """The lowest threshold from which at most ``bound.share`` are normal; 1 when there is none."""
    return 1.0 - highest_routine_threshold(1.0 - probabilities, 1.0 - labels, bound)
