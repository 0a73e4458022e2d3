"""Whatever the readings are: routine is said only of what was read, and read as harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decision import Decision, Finding, ImageResult, Thresholds, decide, decide_study
from models.reasons import RULED_OUT, SCOPE_REASONS, UNCOUNTED, Reason

PROBABILITIES = st.floats(min_value=0.0, max_value=1.0)
THRESHOLDS = st.tuples(PROBABILITIES, PROBABILITIES).map(
    lambda pair: Thresholds(routine_below=min(pair), urgent_from=max(pair))
)
LINES = Thresholds(routine_below=0.3, urgent_from=0.7)


def _read(abnormality: float) -> ImageResult:
    findings = (Finding("something", abnormality),)
    return ImageResult("1.2", decide(abnormality, LINES), findings=findings, abnormality=abnormality)


IMAGE_REASONS = [reason for reason in Reason if reason not in UNCOUNTED]
UNREAD = st.sampled_from(IMAGE_REASONS).map(lambda reason: ImageResult("1.3", Decision.not_triaged, reason))
SENT_ON = st.sampled_from(sorted(SCOPE_REASONS)).map(lambda reason: ImageResult("1.4", Decision.escalate, reason))
NO_IMAGE = st.just(ImageResult("1.5", Decision.not_triaged, Reason.not_an_image))
RULED_OUT_IMAGES = st.sampled_from(sorted(RULED_OUT)).map(
    lambda reason: ImageResult("1.6", Decision.not_triaged, reason, "rule a")
)
STUDIES = st.lists(st.one_of(PROBABILITIES.map(_read), UNREAD, SENT_ON, NO_IMAGE), max_size=6)


@given(PROBABILITIES, THRESHOLDS)
def test_an_image_is_routine_exactly_below_one_line_and_urgent_from_the_other(
    abnormality: float, thresholds: Thresholds
) -> None:
    """The three decisions split the probabilities without a gap or an overlap, urgent first."""
    decision = decide(abnormality, thresholds)
    assert (decision is Decision.urgent) == (abnormality >= thresholds.urgent_from)
    assert (decision is Decision.routine) == (abnormality < min(thresholds.routine_below, thresholds.urgent_from))
    assert decision is not Decision.not_triaged


@given(PROBABILITIES, PROBABILITIES, THRESHOLDS)
def test_a_higher_probability_never_makes_an_image_less_urgent(
    one: float, other: float, thresholds: Thresholds
) -> None:
    """More suspicion can only raise the alarm."""
    order = [Decision.routine, Decision.escalate, Decision.urgent]
    lower, higher = sorted((one, other))
    assert order.index(decide(lower, thresholds)) <= order.index(decide(higher, thresholds))


@given(STUDIES)
def test_a_study_is_routine_exactly_when_every_image_was_read_and_is_below_the_threshold(
    results: list[ImageResult],
) -> None:
    """The statement the whole product stands on."""
    images = [result for result in results if result.reason is not Reason.not_an_image]
    harmless = [result.abnormality is not None and result.abnormality < LINES.routine_below for result in images]
    said = decide_study(results)
    assert (said.decision is Decision.routine) == (bool(images) and all(harmless))


@given(STUDIES, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_change_the_decision(results: list[ImageResult], random: object) -> None:
    """Images arrive in any order."""
    shuffled = list(results)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide_study(shuffled).decision is decide_study(results).decision


@given(STUDIES)
def test_an_urgent_image_is_never_outvoted(results: list[ImageResult]) -> None:
    """However many others are routine or unreadable."""
    urgent = any(result.decision is Decision.urgent for result in results)
    assert (decide_study(results).decision is Decision.urgent) == urgent


@given(STUDIES)
def test_everything_but_routine_and_urgent_names_its_reason_or_its_uncertain_image(
    results: list[ImageResult],
) -> None:
    """A person is never left with a bare "not triaged"."""
    said = decide_study(results)
    if said.decision is Decision.not_triaged:
        assert said.reason is not None
    if said.decision is Decision.escalate:
        assert said.index is not None
        assert said.reason is not None or results[said.index].findings


@given(STUDIES, st.lists(RULED_OUT_IMAGES, min_size=1, max_size=3))
def test_what_a_rule_leaves_out_decides_nothing_and_is_named(
    results: list[ImageResult], left_out: list[ImageResult]
) -> None:
    """The rest decides as it would alone; when there is no rest nothing is claimed."""
    alone, said = decide_study(results), decide_study([*left_out, *results])
    assert "rule a" in said.detail
    assert said.decision is alone.decision
    if alone.reason is Reason.no_images:
        assert said.reason in RULED_OUT or results
    else:
        assert said.reason is alone.reason


@given(st.floats().filter(lambda value: not 0.0 <= value <= 1.0), THRESHOLDS)
def test_what_is_no_probability_is_an_error_and_not_routine(value: float, thresholds: Thresholds) -> None:
    """NaN, infinity and numbers outside of 0..1 come from a fault, and a fault is never a statement."""
    with pytest.raises(ValueError, match="not a number in"):
        decide(value, thresholds)
