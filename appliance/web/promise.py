"""What a pack's calibration lets one expect of it at work, and whether what happened still fits. Pure rules.

How many images a pack settles depends on how many of them are abnormal, and calibration had its own mix. So the promise
is a range: the share settled among the normal and the share settled among the abnormal images of the calibration set,
each widened by what is not known of it. Whatever the mix at a hospital is, its share lies between the two, as long as
the images are of the kind the pack was calibrated on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from appliance.web.agreement import wilson

#: Of how many days the studies are taken together, and how many there have to be to say anything.
WINDOW_DAYS = 7
LEAST_STUDIES = 30
#: The two-sided level of the test: half of it for too few settled, half for too many.
LEVEL = 0.001
#: The range of the promise is widened by 99 % Wilson intervals.
_QUANTILE = 2.575829


class Drift(StrEnum):
    """What a week of studies says about the promise."""

    BELOW = "below"
    ABOVE = "above"
    FITS = "fits"
    TOO_FEW = "too_few"
    NO_PROMISE = "no_promise"


@dataclass(frozen=True)
class Promise:
    """Shares (0..1) of the images of the calibration set, and between which bounds a share settled is no surprise.

    ``routine_below`` and ``urgent_from`` are the pack's own lines.
    """

    images: int
    settled: float
    urgent: float
    escalated: float
    least: float
    most: float
    routine_below: float
    urgent_from: float


class _Counts(BaseModel):
    """What the figures of a calibration count; see ``models/evaluation.py``."""

    read: int = Field(gt=0)
    abnormal: int = Field(ge=0)
    routine: int = Field(ge=0)
    urgent: int = Field(ge=0)
    missed_among_routine: int = Field(ge=0)
    false_among_urgent: int = Field(ge=0)


def promise_of(figures: Mapping[str, Any], routine_below: float, urgent_from: float) -> Promise | None:
    """The promise in the figures of a manifest; None when they do not count what it needs."""
    try:
        counts = _Counts.model_validate(figures.get("calibration"))
    except ValidationError:
        return None
    found, false = counts.urgent - counts.false_among_urgent, counts.false_among_urgent
    normal = counts.read - counts.abnormal
    kinds = (
        (counts.routine - counts.missed_among_routine + false, normal),
        (counts.missed_among_routine + found, counts.abnormal),
    )
    if any(not 0 <= settled <= of for settled, of in kinds):
        return None
    ranges = [bounds for settled, of in kinds if (bounds := wilson(settled, of, _QUANTILE)) is not None]
    settled = counts.routine + counts.urgent
    return Promise(
        images=counts.read,
        settled=settled / counts.read,
        urgent=counts.urgent / counts.read,
        escalated=1.0 - settled / counts.read,
        least=min(low for low, _ in ranges),
        most=max(high for _, high in ranges),
        routine_below=routine_below,
        urgent_from=urgent_from,
    )


def drift(settled: int, studies: int, promise: Promise | None) -> Drift:
    """Whether so many of so many fit the promise: an exact binomial test against the nearer bound."""
    if promise is None:
        return Drift.NO_PROMISE
    if studies < LEAST_STUDIES:
        return Drift.TOO_FEW
    if at_least(studies - settled, studies, 1.0 - promise.least) < LEVEL / 2:
        return Drift.BELOW
    if at_least(settled, studies, promise.most) < LEVEL / 2:
        return Drift.ABOVE
    return Drift.FITS


def at_least(successes: int, trials: int, probability: float) -> float:
    """How probable ``successes`` or more of ``trials`` are, each of which succeeds with ``probability``."""
    if successes <= 0:
        return 1.0
    if probability <= 0.0:
        return 0.0
    if probability >= 1.0:
        return 1.0
    total, odds = 0.0, math.log(probability) - math.log1p(-probability)
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(probability)
        + (trials - successes) * math.log1p(-probability)
    )
    for number in range(successes, trials + 1):
        total += math.exp(log_term)
        if number > trials * probability and log_term < math.log(total or 1.0) - 40.0:
            break  # what is left adds nothing a double can hold
        if number < trials:
            log_term += math.log(trials - number) - math.log(number + 1) + odds
    return min(total, 1.0)
