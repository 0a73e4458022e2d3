"""Measures against what counting by hand gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.measures import auc, ece, share, upper_limit, wilson


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30))
def test_auc_counts_pairs(cases: list[tuple[bool, int, int]]) -> None:
    """The formula equals counting every pair, ties as half, an image as often as it weighs."""
    repeated = [(ill, score) for ill, score, weight in cases for _ in range(weight)]
    above = [score for ill, score in repeated if ill]
    below = [score for ill, score in repeated if not ill]
    pairs = [(p > n) + 0.5 * (p == n) for p in above for n in below]
    positive, scores, weights = (np.array(column) for column in zip(*cases, strict=True))
    expected = None if not pairs else pytest.approx(float(np.mean(pairs)))
    assert auc(positive, scores / 5.0, weights.astype(np.float64)) == expected


def test_a_calibrated_model_has_no_calibration_error() -> None:
    """A quarter of the images at 0.25 are positive, and certainty 1.0 falls into the last bin."""
    assert ece(np.array([True, False, False, False]), np.full(4, 0.25)) == pytest.approx(0.0)
    assert ece(np.array([True, True]), np.ones(2)) == pytest.approx(0.0)
    assert ece(np.array([True, True]), np.array([0.5, 0.5]), np.array([1.0, 3.0])) == pytest.approx(0.5)


def test_a_share_of_nothing_is_none() -> None:
    """Weights of zero are nothing as well."""
    assert share(np.array([True, False]), np.zeros(2)) is None
    assert share(np.array([True, False]), np.array([1.0, 3.0])) == 0.25


@pytest.mark.parametrize(
    ("wrong", "of", "limit"),
    [(0, 60, 0.0487029), (0, 59, 0.0495086), (3, 196, 0.0390820), (1, 1, 1.0), (0, 0, 1.0)],
)
def test_the_exact_limit_of_a_share(wrong: int, of: int, limit: float) -> None:
    """Nothing wrong among n: 1 - 0.05^(1/n); the third is what ``scipy.stats.beta.ppf(0.95, 4, 193)`` gives."""
    assert upper_limit(wrong, of) == pytest.approx(limit, abs=1e-6)


def test_wilson_by_hand() -> None:
    """5 of 10 as tables have it; none of none says nothing; the ends stay within 0..1."""
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 0) is None
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
