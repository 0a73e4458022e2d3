"""Calibration and thresholds, chosen with the very network that ships.

Thresholds come from Learn-then-Test (Angelopoulos, Bates, Candès, Jordan, Lei 2021) as MAPIE implements it. What has
to hold is that among the images called routine at most ``share`` are abnormal, wherever at most ``prevalence`` of all
are. That follows from two rates, shown together with ``confidence`` over the draw of the calibration images: of the
normal images at least ``settled`` come out routine, and of the abnormal ones so few that the share follows. Neither
rate depends on how many abnormal images the collection happens to hold. Other images fix the lines. The second rate is
tested line by line from strict to lax, and the last line that passes is taken; the first rate from lax to strict, and
has to have passed there (fixed-sequence testing, twice). A bound that cannot be shown leaves no image routine; it is
never loosened.
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

from models.calibrated import softmax
from models.measures import upper_limit

Numbers = NDArray[np.float64]
Truth = NDArray[np.bool_]
#: What part of the doubt left by ``confidence`` goes to the first rate; the rest goes to the second.
_SPENT_ON_SETTLED = 0.01
_LINES = 150


@dataclass(frozen=True)
class Bound:
    """At most ``share`` wrong ones among those decided, where at most ``prevalence`` of all images would be wrong.

    ``settled`` is the share of the others that must be decided; the smaller, the fewer wrong ones are allowed.
    """

    share: float
    prevalence: float
    settled: float
    confidence: float = 0.95

    @property
    def wrong_rate(self) -> float:
        """The share of the wrong kind that may be decided, so that ``share`` follows at ``prevalence``."""
        odds = self.share / (1.0 - self.share) * (1.0 - self.prevalence) / self.prevalence
        return self.settled * odds


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
    lines = np.unique(np.quantile(scores[~truth], np.linspace(bound.settled / 2.0, 0.995, _LINES)))
    lines = lines[lines < 0.5] if (lines < 0.5).any() else lines[:1]  # nothing likely is routine
    if not abnormal.any():
        return 0.0
    # MAPIE decides "positive" from a threshold on: the positive decision is routine, the score its complement.
    controller = BinaryClassificationController(
        lambda certainty: np.stack([1.0 - certainty, certainty], axis=1),
        risk="fpr",
        target_level=bound.wrong_rate,
        confidence_level=bound.confidence + _SPENT_ON_SETTLED,
        list_predict_params=1.0 - lines,
        fwer_method=FWERFixedSequenceTesting(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "no valid threshold" is an answer here
        controller.calibrate(1.0 - abnormality, (~abnormal).astype(int))
    valid = np.asarray(controller.valid_predict_params, dtype=np.float64).ravel()
    line = float(1.0 - valid.min()) if valid.size else 0.0
    left = abnormality[~abnormal] >= line
    # What is left over falls from line to line, so to pass here is to have passed at every laxer one.
    shown = upper_limit(int(left.sum()), len(left), 1.0 - _SPENT_ON_SETTLED) <= 1.0 - bound.settled
    return line if shown else 0.0


def urgent_from(abnormality: Numbers, abnormal: Truth, ordering: tuple[Numbers, Truth], bound: Bound) -> float:
    """The lowest line from which at most ``bound.share`` are normal; 1 when no line can be shown to hold."""
    scores, truth = ordering
    return 1.0 - routine_below(1.0 - abnormality, ~abnormal, (1.0 - scores, ~truth), bound)


def missed_share(below: Truth, abnormal: Truth, prevalence: float) -> float:
    """The share of abnormal images among those ``below`` a line, by count, as if ``prevalence`` of all were so."""
    missed, settled = (float(below[kind].mean()) if kind.any() else 0.0 for kind in (abnormal, ~abnormal))
    wrong, right = prevalence * missed, (1.0 - prevalence) * settled
    return wrong / (wrong + right) if wrong + right > 0.0 else 0.0


def lowered(line: float, abnormality: Numbers, abnormal: Truth, bound: Bound) -> float:
    """The highest line up to the given one below which, by count, the bound's share holds; 0 when none does."""
    for candidate in np.unique(np.append(abnormality[abnormality < line], line))[::-1]:
        if missed_share(abnormality < candidate, abnormal, bound.prevalence) <= bound.share:
            return float(candidate)
    return 0.0
