"""Whatever the readings are: routine is said only of what was read, and read as harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decision import Decision, Finding, ImageResult, Thresholds, decide, decide_study
from models.reasons import SCOPE_REASONS, Reason

PROBABILITIES = st.floats(min_value=0.0, max_value=1.0)
FINDINGS = st.lists(PROBABILITIES, min_size=1, max_size=5).map(
    lambda values: [Finding(f"finding {index}", value) for index, value in enumerate(values)]
)
THRESHOLDS = st.tuples(PROBABILITIES, PROBABILITIES).map(
    lambda pair: Thresholds(routine_below=min(pair), urgent_from=max(pair))
)
LINES = Thresholds(routine_below=0.3, urgent_from=0.7)


def _read(findings: list[Finding]) -> ImageResult:
    return ImageResult("1.2", decide(findings, LINES), findings=tuple(findings))


IMAGE_REASONS = [reason for reason in Reason if reason is not Reason.not_an_image]
UNREAD = st.sampled_from(IMAGE_REASONS).map(lambda reason: ImageResult("1.3", Decision.not_triaged, reason))
SENT_ON = st.sampled_from(sorted(SCOPE_REASONS)).map(lambda reason: ImageResult("1.4", Decision.escalate, reason))
NO_IMAGE = st.just(ImageResult("1.5", Decision.not_triaged, Reason.not_an_image))
STUDIES = st.lists(st.one_of(FINDINGS.map(_read), UNREAD, SENT_ON, NO_IMAGE), max_size=6)


@given(FINDINGS, THRESHOLDS)
def test_an_image_is_routine_exactly_when_every_finding_is_below_and_urgent_when_one_is_above(
    findings: list[Finding], thresholds: Thresholds
) -> None:
    """The three decisions split the probabilities without a gap or an overlap, urgent first."""
    highest = max(finding.probability for finding in findings)
    decision = decide(findings, thresholds)
    assert (decision is Decision.urgent) == (highest >= thresholds.urgent_from)
    assert (decision is Decision.routine) == (highest < min(thresholds.routine_below, thresholds.urgent_from))
    assert decision is not Decision.not_triaged


@given(FINDINGS, THRESHOLDS, PROBABILITIES)
def test_one_more_finding_never_makes_an_image_less_urgent(
    findings: list[Finding], thresholds: Thresholds, more: float
) -> None:
    """A model that names more findings can only raise the alarm."""
    order = [Decision.routine, Decision.escalate, Decision.urgent]
    before = decide(findings, thresholds)
    after = decide([*findings, Finding("one more", more)], thresholds)
    assert order.index(after) >= order.index(before)


@given(STUDIES)
def test_a_study_is_routine_exactly_when_every_image_was_read_and_is_below_the_threshold(
    results: list[ImageResult],
) -> None:
    """The statement the whole product stands on."""
    images = [result for result in results if result.reason is not Reason.not_an_image]
    harmless = [bool(result.findings) and result.highest_probability < LINES.routine_below for result in images]
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


@given(THRESHOLDS)
def test_no_findings_is_an_error_and_not_routine(thresholds: Thresholds) -> None:
    """A model that named nothing has read nothing."""
    with pytest.raises(ValueError, match="no findings"):
        decide([], thresholds)
