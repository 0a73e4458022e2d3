"""Every figure against a hand-made case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decision import Decision
from models.evaluation import auc, bootstrap_interval, ece, evaluate

LABELS = np.array([0, 0, 1, 1])
SCORES = np.array([0.1, 0.6, 0.4, 0.9])


def test_all_figures_of_a_small_set() -> None:
    """Four images worked out by hand, one of them left undecided and one more not read."""
    decisions = [Decision.routine, Decision.urgent, Decision.escalate, Decision.urgent, Decision.not_triaged]
    figures = evaluate([*LABELS, 1], [*SCORES, math.nan], decisions, fp32_auc=0.8)
    assert figures.n == 5
    assert figures.auc == 0.75
    assert figures.accuracy == 0.5
    assert figures.sensitivity == 0.5
    assert figures.specificity == 0.5
    assert figures.coverage == 3 / 5
    assert figures.selective_error == pytest.approx(1 / 3)
    assert figures.ece == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)
    assert figures.fp32_auc == 0.8


def test_undefined_is_none_and_not_zero() -> None:
    """One class, nobody decided, nobody at all."""
    one_class = evaluate([1, 1], [0.9, 0.8], [Decision.escalate] * 2)
    assert (one_class.auc, one_class.specificity, one_class.selective_error) == (None, None, None)
    assert one_class.coverage == 0.0
    empty = evaluate([], [], [])
    assert (empty.n, empty.auc, empty.accuracy, empty.coverage, empty.ece) == (0, None, None, None, None)


def test_what_does_not_fit_is_refused() -> None:
    """Lengths and labels."""
    with pytest.raises(ValueError, match="decisions"):
        evaluate(LABELS, SCORES, [])
    with pytest.raises(ValueError, match="equal lists"):
        evaluate(LABELS, SCORES[:3], [])
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        evaluate([2], [0.5], [Decision.routine])


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=30))
def test_auc_counts_pairs(cases: list[tuple[int, int]]) -> None:
    """The rank formula equals counting every pair, ties as half."""
    labels = np.array([label for label, _ in cases])
    scores = np.array([score / 5 for _, score in cases])
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels == 1] for n in scores[labels == 0]]
    expected = None if not pairs else pytest.approx(float(np.mean(pairs)))
    assert auc(labels, scores) == expected


def test_a_calibrated_model_has_no_calibration_error() -> None:
    """A quarter of the images at 0.25 are positive, and certainty 1.0 falls into the last bin."""
    assert ece(np.array([1, 0, 0, 0]), np.full(4, 0.25)) == pytest.approx(0.0)
    assert ece(np.array([1, 1]), np.ones(2)) == pytest.approx(0.0)


def test_the_bootstrap_interval_holds_the_figure_and_repeats() -> None:
    """Same generator, same interval; nothing to draw from, no interval."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    scores = np.clip(labels * 0.3 + rng.random(200) * 0.7, 0, 1)
    interval = bootstrap_interval(auc, labels, scores, np.random.default_rng(7), rounds=200)
    assert interval is not None
    exact = auc(labels, scores)
    assert exact is not None
    assert interval[0] < exact < interval[1]
    assert interval == bootstrap_interval(auc, labels, scores, np.random.default_rng(7), rounds=200)
    assert bootstrap_interval(auc, [], [], np.random.default_rng(7)) is None
    assert bootstrap_interval(auc, [1], [0.5], np.random.default_rng(7)) is None
