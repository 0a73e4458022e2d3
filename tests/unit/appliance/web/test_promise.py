"""What a calibration promises and when a week of studies breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from appliance.web.promise import LEAST_STUDIES, Drift, Promise, at_least, drift, promise_of
from models.registry import SHIPPED, Registry

COUNTS = {
    "read": 1304,
    "abnormal": 980,
    "routine": 229,
    "missed_among_routine": 2,
    "urgent": 892,
    "false_among_urgent": 3,
}


def promised(**changed: int) -> Promise:
    """Of a chest pack, or of one that counted otherwise."""
    found = promise_of({"calibration": COUNTS | changed}, 0.02, 0.93)
    assert found is not None
    return found


def test_the_promise_holds_for_any_mix() -> None:
    """230 of 324 normal and 891 of 980 abnormal images were settled: a share at work lies between, whoever comes."""
    found = promised()
    assert found.settled == pytest.approx(1121 / 1304)
    assert found.escalated == pytest.approx(183 / 1304)
    assert found.least < 230 / 324 < found.settled < 891 / 980 < found.most
    for abnormal in (0.02, 0.3, 0.9):
        share = abnormal * 891 / 980 + (1 - abnormal) * 230 / 324
        assert drift(round(share * 500), 500, found) is Drift.FITS


@pytest.mark.parametrize(
    "figures",
    [{}, {"calibration": None}, {"calibration": {"coverage": 0.8}}, {"calibration": COUNTS | {"read": 0}},
     {"calibration": COUNTS | {"abnormal": 2000}}, {"calibration": COUNTS | {"urgent": "many"}}],
)  # fmt: skip
def test_figures_that_do_not_count_promise_nothing(figures: dict[str, object]) -> None:
    """A pack of somebody else's may have other figures, or none; then nothing is held against it."""
    assert promise_of(figures, 0.1, 0.9) is None
    assert drift(0, 1000, None) is Drift.NO_PROMISE


def test_every_pack_that_comes_with_the_box_promises_something() -> None:
    """And the share it settled on its calibration set is the one its manifest expects."""
    for pack in Registry([SHIPPED]).packs("box"):
        lines = pack.manifest.thresholds
        found = promise_of(pack.manifest.figures, lines.routine_below, lines.urgent_from)
        assert found is not None
        # The manifest counts what the gate has refused as not settled.
        assert found.settled == pytest.approx(pack.manifest.calibration["expected_coverage"], abs=0.01)
        assert found.least <= found.settled <= found.most


def test_few_studies_say_nothing_and_many_do() -> None:
    """Ten that were all escalated are chance for nobody to act on; thirty are not."""
    assert drift(0, 10, promised()) is Drift.TOO_FEW
    assert drift(0, LEAST_STUDIES, promised()) is Drift.BELOW
    assert drift(500, 500, promised()) is Drift.ABOVE


@pytest.mark.parametrize(
    ("successes", "trials", "probability"),
    [(0, 10, 0.3), (3, 10, 0.3), (10, 10, 0.3), (40, 100, 0.02), (950, 1000, 0.9), (30_500, 100_000, 0.3), (5, 9, 0.0)],
)
def test_the_tail_is_exact(successes: int, trials: int, probability: float) -> None:
    """As scipy has it, also far out where a normal curve would be wrong, and for a hundred thousand."""
    expected = binom.sf(successes - 1, trials, probability)
    assert at_least(successes, trials, probability) == pytest.approx(expected, rel=1e-7, abs=1e-300)


def test_a_box_in_order_is_hardly_ever_accused_and_a_changed_scanner_soon_is() -> None:
    """Looked at every day for a year, 20 studies a day.

    At the promise's own edge, the worst case, fewer than one in ten is accused in a year; with the mix of the
    calibration none; and where half of the edge is lost it is said within a week.
    """
    rng, promise = np.random.default_rng(1), promised()
    accused = [_first_day(rng.binomial(20, promise.least, 365), promise) is not None for _ in range(200)]
    assert np.mean(accused) < 0.1
    inside = [_first_day(rng.binomial(20, promise.settled, 365), promise) is not None for _ in range(200)]
    assert not any(inside)
    noticed = [_first_day(rng.binomial(20, promise.least / 2, 30), promise) for _ in range(100)]
    assert max(31 if day is None else day for day in noticed) <= 6


def _first_day(settled: NDArray[np.int64], promise: Promise) -> int | None:
    for day in range(len(settled)):
        week = settled[max(day - 6, 0) : day + 1]
        if drift(int(week.sum()), 20 * len(week), promise) in (Drift.BELOW, Drift.ABOVE):
            return day
    return None
