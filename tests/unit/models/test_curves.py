"""The points of the curves against hand-made cases, and against the measures they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.curves import reliability, risk_coverage, roc
from models.measures import auc

POSITIVE = np.array([False, False, True, True])
SCORES = np.array([0.1, 0.6, 0.4, 0.9])


def test_roc_by_hand() -> None:
    """From the highest score down: a hit, an alarm, a hit, an alarm."""
    line = roc(POSITIVE, SCORES)
    assert list(zip(line.x, line.y, strict=True)) == [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]


def test_roc_of_one_class_has_no_points() -> None:
    """There is nothing to tell apart."""
    assert len(roc(np.array([True, True]), np.array([0.1, 0.2])).x) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_area_under_the_line_is_the_auc(cases: list[tuple[bool, int]]) -> None:
    """With ties as well: they are one slanted step."""
    positive, scores = np.array([ill for ill, _ in cases]), np.array([score / 5 for _, score in cases])
    line = roc(positive, scores)
    expected = auc(positive, scores)
    if expected is None:
        assert len(line.x) == 0
    else:
        assert float(np.trapezoid(line.y, line.x)) == pytest.approx(expected)


def test_reliability_leaves_out_empty_bins() -> None:
    """Two images at 0.25, one of them positive, and one certain one."""
    first, last = reliability(np.array([True, False, True]), np.array([0.25, 0.25, 1.0]))
    assert (first.probability, first.frequency, first.count) == (0.25, 0.5, 2)
    assert first.low < 0.5 < first.high
    assert (last.probability, last.frequency, last.high) == (1.0, 1.0, 1.0)


def test_risk_and_coverage_by_hand() -> None:
    """0.1 and 0.9 first and right, then 0.6 and 0.4 together and wrong; a fifth image was not read."""
    line = risk_coverage(POSITIVE, SCORES, 5)
    assert line.x == pytest.approx([0.4, 0.8])
    assert line.y == pytest.approx([0.0, 0.5])
    assert len(risk_coverage(POSITIVE[:0], SCORES[:0], 5).x) == 0
