"""How good a pack is on labelled images: one definition for the command line and for the model card.

Label 1 means the finding is present. A probability of NaN means that the image was not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.decision import Decision

Labels = NDArray[np.int_]
Probabilities = NDArray[np.float64]
Metric = Callable[[Labels, Probabilities], "float | None"]

CUT = 0.5
ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of ``scanside evaluate``; None where one is not defined, for example AUC with one class.

    ``n`` is the number of labelled images, ``coverage`` the share of them decided on the box (routine or
    urgent) and ``selective_error`` the share of wrong decisions among those. Everything else is over the
    images that were read, with a probability of 0.5 as the cut. ``fp32_auc`` is that of the unquantised
    network.
    """

    n: int
    auc: float | None
    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    coverage: float | None
    selective_error: float | None
    ece: float | None
    fp32_auc: float | None = None


def evaluate(
    labels: ArrayLike,
    probabilities: ArrayLike,
    decisions: Sequence[Decision],
    fp32_auc: float | None = None,
) -> Evaluation:
    """All figures over ``n`` images: 0/1 labels, probabilities (NaN = not read) and what was decided.

    Raises:
        ValueError: the three do not have the same length, or a label is neither 0 nor 1.
    """
    truth, scores = _checked(labels, probabilities)
    if len(decisions) != len(truth):
        raise ValueError(f"{len(truth)} labels but {len(decisions)} decisions")
    read = np.isfinite(scores)
    seen, given = truth[read], scores[read]
    return Evaluation(
        n=len(truth),
        auc=auc(seen, given),
        accuracy=accuracy(seen, given),
        sensitivity=sensitivity(seen, given),
        specificity=specificity(seen, given),
        coverage=coverage(decisions),
        selective_error=selective_error(truth, decisions),
        ece=ece(seen, given),
        fp32_auc=fp32_auc,
    )


def auc(labels: Labels, probabilities: Probabilities) -> float | None:
    """The chance that a positive image scores above a negative one, ties count half; None with one class."""
    positives = int(np.sum(labels == 1))
    negatives = len(labels) - positives
    if positives == 0 or negatives == 0:
        return None
    _, position, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = float(middle_rank[position][labels == 1].sum())
    return (rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives)


def accuracy(labels: Labels, probabilities: Probabilities, cut: float = CUT) -> float | None:
    """The share of images on the right side of ``cut``."""
    return _share((probabilities >= cut) == (labels == 1))


def sensitivity(labels: Labels, probabilities: Probabilities, cut: float = CUT) -> float | None:
    """The share of positive images with a probability of at least ``cut``."""
    return _share(probabilities[labels == 1] >= cut)


def specificity(labels: Labels, probabilities: Probabilities, cut: float = CUT) -> float | None:
    """The share of negative images with a probability below ``cut``."""
    return _share(probabilities[labels == 0] < cut)


def coverage(decisions: Sequence[Decision]) -> float | None:
    """The share of images decided on the box: routine or urgent."""
    return _share(_decided(decisions))


def selective_error(labels: Labels, decisions: Sequence[Decision]) -> float | None:
    """The share of wrong ones among the decided: routine with the finding, or urgent without it."""
    decided = _decided(decisions)
    urgent = np.array([decision is Decision.urgent for decision in decisions], dtype=bool)
    return _share((urgent != (labels == 1))[decided])


def ece(labels: Labels, probabilities: Probabilities, bins: int = ECE_BINS) -> float | None:
    """Expected calibration error: how far probability and frequency are apart, over ``bins`` equal widths."""
    if len(labels) == 0:
        return None
    which = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    count = np.bincount(which, minlength=bins)
    gap = np.bincount(which, probabilities, bins) - np.bincount(which, labels.astype(np.float64), bins)
    return float(np.abs(gap).sum() / count.sum())


def bootstrap_interval(
    metric: Metric,
    labels: ArrayLike,
    probabilities: ArrayLike,
    rng: np.random.Generator,
    rounds: int = 1000,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """The percentile interval of ``metric`` over images drawn again with replacement; None if never defined.

    Raises:
        ValueError: lengths differ, or a label is neither 0 nor 1.
    """
    truth, scores = _checked(labels, probabilities)
    drawn = (rng.integers(0, len(truth), len(truth)) for _ in range(rounds if len(truth) else 0))
    values = [value for picks in drawn if (value := metric(truth[picks], scores[picks])) is not None]
    if not values:
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Labels, Probabilities]:
    truth, scores = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != scores.shape:
        raise ValueError(f"labels {truth.shape} and probabilities {scores.shape} must be two equal lists")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("a label is neither 0 nor 1")
    return truth.astype(np.int_), scores


def _decided(decisions: Sequence[Decision]) -> NDArray[np.bool_]:
    return np.array([one in (Decision.routine, Decision.urgent) for one in decisions], dtype=bool)


def _share(hits: NDArray[np.bool_]) -> float | None:
    return float(np.mean(hits)) if len(hits) else None
