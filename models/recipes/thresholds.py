"""Calibration and thresholds, chosen with the very network that ships.

Thresholds come from Learn-then-Test (Angelopoulos, Bates, Candès, Jordan, Lei 2021) as MAPIE implements it: among the
images called routine at most ``share`` are abnormal, with ``confidence`` over the draw of the calibration images. The
thresholds are tested in an order that was fixed on other images, from strict to lax, and the last that passes is
taken (fixed-sequence testing). A bound that cannot be met leaves fewer images routine, or none; it is never loosened.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from mapie.risk_control import BinaryClassificationController
from mapie.risk_control.fwer_control import FWERFixedSequenceTesting
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from models.runner import softmax

Numbers = NDArray[np.float64]
Truth = NDArray[np.bool_]
#: Shares of the ordering images' true class that lie on the decided side, from strict to lax.
_SEQUENCE = np.linspace(0.55, 0.995, 90)


@dataclass(frozen=True)
class Bound:
    """At most ``share`` of wrong ones among those decided, with ``confidence``."""

    share: float
    confidence: float = 0.95


def platt(logits: Numbers, abnormal: Truth) -> tuple[float, float]:
    """``(temperature, bias)`` so that ``sigmoid(logit / temperature + bias)`` is a probability at even odds.

    Both classes weigh the same, because the share of abnormal images in a collection is not that of a clinic.

    Raises:
        ValueError: the logit does not rise with the abnormal ones, so no temperature above 0 fits.
    """
    fitted = LogisticRegression(C=1e6, class_weight="balanced").fit(logits[:, None], abnormal)
    if fitted.coef_[0, 0] <= 0.0:
        raise ValueError("the score is not higher for abnormal images: turned round, or trained on something else")
    return float(1.0 / fitted.coef_[0, 0]), float(fitted.intercept_[0])


def temperature(logits: Numbers, labels: NDArray[np.int64]) -> float:
    """The temperature that minimises the negative log-likelihood of ``softmax(logits / temperature)``."""

    def loss(log_temperature: float) -> float:
        chances = softmax(logits / np.exp(log_temperature))
        return float(-np.log(np.maximum(chances[np.arange(len(labels)), labels], 1e-12)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def routine_below(abnormality: Numbers, abnormal: Truth, ordering: tuple[Numbers, Truth], bound: Bound) -> float:
    """The highest line below which at most ``bound.share`` are abnormal; 0 when no line can be shown to hold.

    Args:
        abnormality: probabilities ``(n,)`` of the calibration images.
        abnormal: what they truly are.
        ordering: the same of other images, which fix the lines to test and their order.
        bound: what has to hold.
    """
    scores, truth = ordering
    lines = np.unique(np.quantile(scores[~truth], _SEQUENCE))
    lines = lines[lines < 0.5] if (lines < 0.5).any() else lines[:1]  # nothing likely is routine
    # MAPIE decides "positive" from a threshold on: the positive decision is routine, the score its complement.
    controller = BinaryClassificationController(
        lambda certainty: np.stack([1.0 - certainty, certainty], axis=1),
        risk="precision",
        target_level=1.0 - bound.share,
        confidence_level=bound.confidence,
        list_predict_params=1.0 - lines,
        fwer_method=FWERFixedSequenceTesting(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "no valid threshold" is an answer here
        controller.calibrate(1.0 - abnormality, (~abnormal).astype(int))
    valid = np.asarray(controller.valid_predict_params, dtype=np.float64).ravel()
    return float(1.0 - valid.min()) if valid.size else 0.0


def urgent_from(abnormality: Numbers, abnormal: Truth, ordering: tuple[Numbers, Truth], bound: Bound) -> float:
    """The lowest line from which at most ``bound.share`` are normal; 1 when no line can be shown to hold."""
    scores, truth = ordering
    return 1.0 - routine_below(1.0 - abnormality, ~abnormal, (1.0 - scores, ~truth), bound)


def lowered(line: float, abnormality: Numbers, abnormal: Truth, share: float) -> float:
    """The highest line up to the given one below which, by count, at most ``share`` are abnormal."""
    for candidate in np.unique(np.append(abnormality[abnormality < line], line))[::-1]:
        below = abnormality < candidate
        if abnormal[below].sum() <= share * below.sum():
            return float(candidate)
    return 0.0
