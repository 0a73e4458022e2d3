"""The points of three curves of an evaluation: ROC, reliability and risk against coverage. Numbers only, no drawing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.measures import Mask, Numbers, bins_of, wilson

RELIABILITY_BINS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Points ``x (p,)``, ``y (p,)`` in 0..1."""

    x: Numbers
    y: Numbers


@dataclass(frozen=True, slots=True)
class Bin:
    """Images of about the same probability: its mean, how often they are positive, and the 95 % interval of that."""

    probability: float
    frequency: float
    low: float
    high: float
    count: int


def roc(positive: Mask, scores: Numbers) -> Line:
    """The share of negatives at or above a score against that of positives, from (0, 0) to (1, 1).

    Empty when there is only one class.
    """
    if not positive.any() or positive.all():
        return Line(np.zeros(0), np.zeros(0))
    order = np.argsort(-scores, kind="stable")
    last_of_equal = np.append(np.diff(scores[order]) != 0, True)
    hits, alarms = np.cumsum(positive[order])[last_of_equal], np.cumsum(~positive[order])[last_of_equal]
    return Line(np.append(0.0, alarms / alarms[-1]), np.append(0.0, hits / hits[-1]))


def reliability(positive: Mask, probabilities: Numbers, bins: int = RELIABILITY_BINS) -> list[Bin]:
    """``bins`` equal widths of probability, those without an image left out; the intervals are Wilson's."""
    which = bins_of(probabilities, bins)
    found = []
    for index in np.unique(which):
        inside = which == index
        count, hits = int(inside.sum()), int(positive[inside].sum())
        low, high = wilson(hits, count) or (0.0, 1.0)
        found.append(Bin(float(probabilities[inside].mean()), hits / count, low, high, count))
    return found


def risk_coverage(positive: Mask, probabilities: Numbers, n: int) -> Line:
    """Error among the most certain images against their share of all ``n``; images that were not read are never in.

    Certainty is the distance from 0.5, and equal ones enter together.
    """
    if len(probabilities) == 0:
        return Line(np.zeros(0), np.zeros(0))
    certainty = np.abs(probabilities - 0.5)
    order = np.argsort(-certainty, kind="stable")
    last_of_equal = np.append(np.diff(certainty[order]) != 0, True)
    wrong = np.cumsum((probabilities >= 0.5)[order] != positive[order])
    taken = np.arange(1, len(order) + 1)
    return Line((taken / n)[last_of_equal], (wrong / taken)[last_of_equal])
