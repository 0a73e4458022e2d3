"""Calibration and lines: what is promised is counted over many draws from a known distribution."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom, norm

from models.calibrated import sigmoid, softmax
from models.recipes.thresholds import Bound, lowered, missed_share, platt, routine_below, temperature, urgent_from

Numbers = NDArray[np.float64]
Drawn = tuple[Numbers, NDArray[np.bool_]]
SEPARATION = 1.6
DRAWS = 200
#: Where half are abnormal; half of the others have to come out decided.
TWO_PERCENT, FIVE = (Bound(share, prevalence=0.5, settled=0.5) for share in (0.02, 0.05))


def _draw(rng: np.random.Generator, count: int, prevalence: float = 0.5) -> Drawn:
    """Probabilities whose logits are normal around -separation and +separation."""
    truth = rng.random(count) < prevalence
    return sigmoid(rng.normal(np.where(truth, SEPARATION, -SEPARATION), 1.0)), truth


def _true_share(line: float) -> float:
    """Among all that lie below a line: the share of abnormal ones, where half are."""
    if line <= 0.0:
        return 0.0
    at = np.log(line / (1 - line))
    missed, rightly = norm.cdf(at - SEPARATION), norm.cdf(at + SEPARATION)
    return float(missed / (missed + rightly))


def test_the_bound_holds_as_often_as_promised() -> None:
    """The true share of missed ones is above 2 % in at most 5 % of the draws, give or take their number."""
    rng = np.random.default_rng(1)
    ordering, bound = _draw(rng, 800), TWO_PERCENT
    lines = [routine_below(*_draw(rng, 1500), ordering, bound) for _ in range(DRAWS)]
    broken = sum(_true_share(line) > bound.share for line in lines)
    assert broken <= binom.ppf(0.999, DRAWS, 1 - bound.confidence)
    assert np.mean([line > 0.0 for line in lines]) > 0.5, "a bound kept by never deciding says nothing"


def test_both_sides_are_the_same_question() -> None:
    """The line for urgent is that for routine of the mirrored scores."""
    rng = np.random.default_rng(2)
    (scores, truth), (others, known) = _draw(rng, 700), _draw(rng, 700)
    high = urgent_from(scores, truth, (others, known), FIVE)
    low = routine_below(1 - scores, ~truth, (1 - others, ~known), FIVE)
    assert high == pytest.approx(1 - low)
    assert 0.5 <= high < 1.0
    assert (~truth)[scores >= high].mean() <= 0.05


@pytest.mark.parametrize(("count", "possible"), [(223, False), (224, True)])
def test_how_many_images_two_percent_need(count: int, possible: bool) -> None:
    """224 abnormal ones without a miss, as the how-to says, where half are abnormal and 70 % shall be settled."""
    scores = np.r_[np.full(200, 0.01), np.full(count, 0.99)]
    truth = np.r_[np.zeros(200), np.ones(count)].astype(bool)
    ordering = np.r_[np.full(50, 0.1), 0.9], np.r_[np.zeros(50), 1].astype(bool)
    assert (routine_below(scores, truth, ordering, Bound(0.02, 0.5, 0.7)) > 0.0) is possible


def test_the_bound_follows_from_the_two_rates() -> None:
    """Just enough settled and just so many missed: the share is exactly the bound, at its prevalence and not above."""
    bound = Bound(0.02, prevalence=0.75, settled=0.6)
    wrong, right = 0.75 * bound.wrong_rate, 0.25 * bound.settled
    assert wrong / (wrong + right) == pytest.approx(0.02)
    rarer, others = 0.5 * bound.wrong_rate, 0.5 * bound.settled
    assert rarer / (rarer + others) < 0.02


def test_lines_from_easier_images_do_not_forbid_one_that_holds() -> None:
    """Train images a network has learned by heart put the first lines too low; a later one settles enough."""
    rng = np.random.default_rng(7)
    scores, truth = _draw(rng, 3000)
    learned = rng.random(800) < 0.5
    easier = sigmoid(rng.normal(np.where(learned, 2 * SEPARATION, -2 * SEPARATION), 1.0)), learned
    line = routine_below(scores, truth, easier, FIVE)
    assert 0.0 < _true_share(line) <= FIVE.share
    assert (scores[~truth] < line).mean() >= FIVE.settled


def test_nothing_is_routine_when_scores_say_nothing() -> None:
    """Scores by lot: 0, not a lax line. Also when all calibration images are abnormal."""
    rng = np.random.default_rng(3)
    scores, truth = rng.random(600), rng.random(600) < 0.5
    assert routine_below(scores, truth, (scores, truth), TWO_PERCENT) == 0.0
    assert urgent_from(scores, truth, (scores, truth), TWO_PERCENT) == 1.0
    ordering = _draw(rng, 300)
    assert routine_below(scores, np.ones(600, dtype=bool), ordering, TWO_PERCENT) == 0.0


def test_lowered() -> None:
    """By count: the highest line at which the share holds, never above the one given."""
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.45])
    truth = np.array([False, False, True, False, True])

    def at(share: float) -> Bound:
        return Bound(share, prevalence=0.4, settled=0.5)

    assert missed_share(scores < 0.5, truth, 0.4) == pytest.approx(0.4), "the prevalence of these five"
    assert missed_share(scores < 0.5, truth, 0.1) == pytest.approx(0.1)
    assert missed_share(scores < 0.0, truth, 0.4) == 0.0
    assert lowered(0.5, scores, truth, at(0.41)) == 0.5
    assert lowered(0.5, scores, truth, at(0.26)) == 0.45
    assert lowered(0.5, scores, truth, at(0.1)) == 0.3
    assert lowered(0.25, scores, truth, at(0.5)) == 0.25
    assert lowered(0.5, scores, np.ones(5, dtype=bool), at(0.1)) == 0.1, "below the lowest there is nothing to miss"
    assert lowered(0.0, scores, truth, at(0.1)) == 0.0


def test_platt_is_a_probability_at_even_odds() -> None:
    """Scale and offset of logits are undone, whatever the share of abnormal ones."""
    rng = np.random.default_rng(4)
    truth = rng.random(20_000) < 0.8
    logits = rng.normal(np.where(truth, SEPARATION, -SEPARATION), 1.0)
    scale, bias = platt(3.0 * logits + 5.0, truth)
    # Two normals of unit spread at ±m: the true log odds at even prevalence are 2 m x.
    assert scale == pytest.approx(3.0 / (2 * SEPARATION), rel=0.08)
    assert bias == pytest.approx(-5.0 / scale, rel=0.08)


def test_platt_refuses_a_score_the_wrong_way_round() -> None:
    """A temperature cannot be negative, and a turned score is a mistake to tell."""
    rng = np.random.default_rng(5)
    truth = rng.random(500) < 0.5
    with pytest.raises(ValueError, match="not higher for abnormal"):
        platt(-(truth + rng.normal(0, 0.3, 500)), truth)


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_temperature(true: float) -> None:
    """Labels drawn from softmax(logits / t) give t back."""
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 3, (8000, 3))
    labels = (softmax(logits / true).cumsum(axis=1) < rng.random((8000, 1))).sum(axis=1)
    assert temperature(logits, np.minimum(labels, 2)) == pytest.approx(true, rel=0.1)
