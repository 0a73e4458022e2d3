"""The decision rule at its edges, and the rule for studies case by case."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from models.decision import Decision, Finding, ImageResult, StudyDecision, Thresholds, decide, decide_study
from models.reasons import Reason

LINES = Thresholds(routine_below=0.2, urgent_from=0.8)


def _image(decision: Decision, probability: float | None = None, reason: Reason | None = None) -> ImageResult:
    findings = () if probability is None else (Finding("x", probability),)
    return ImageResult("1.2.3", decision, reason, findings=findings, abnormality=probability)


@pytest.mark.parametrize(
    ("probability", "decision"),
    [
        (0.0, Decision.routine),
        (math.nextafter(0.2, 0), Decision.routine),
        (0.2, Decision.escalate),
        (math.nextafter(0.8, 0), Decision.escalate),
        (0.8, Decision.urgent),
        (1.0, Decision.urgent),
    ],
)
def test_thresholds_are_exact(probability: float, decision: Decision) -> None:
    """Routine strictly below, urgent from its line on."""
    assert decide(probability, LINES) is decision


@pytest.mark.parametrize("probability", [math.nan, math.inf, -0.01, 1.01])
def test_a_finding_refuses_what_is_no_probability(probability: float) -> None:
    """NaN compares false with every threshold, so it must not get that far."""
    with pytest.raises(ValueError, match="not a number in"):
        Finding("x", probability)


@pytest.mark.parametrize("probability", [math.nan, math.inf, -math.inf, -0.01, 1.01])
def test_what_is_no_probability_decides_nothing(probability: float) -> None:
    """Neither routine nor urgent comes of a number that means nothing."""
    with pytest.raises(ValueError, match="not a number in"):
        decide(probability, LINES)


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    """Otherwise one probability would be both routine and urgent."""
    with pytest.raises(ValidationError, match="routine_below"):
        Thresholds(routine_below=0.9, urgent_from=0.1)


def test_routine_and_unreadable_is_partly_covered() -> None:
    """Nothing is claimed of an image that was not read; the detail counts and names the reasons."""
    results = [_image(Decision.routine, 0.1), _image(Decision.not_triaged, reason=Reason.wrong_view)]
    expected = StudyDecision(Decision.escalate, Reason.partly_covered, "1 of 2 images not read: wrong_view", 1)
    assert decide_study(results) == expected


def test_the_most_probable_urgent_image_decides() -> None:
    """The index leads to the image a person should see first."""
    results = [
        _image(Decision.routine, 0.1),
        _image(Decision.urgent, 0.85),
        _image(Decision.urgent, 0.95),
    ]
    assert decide_study(results).index == 2


def test_a_finding_that_is_not_acted_on_does_not_lead_to_its_image() -> None:
    """A probable harmless finding does not outrank the image the decision rests on."""
    harmless = ImageResult("1", Decision.urgent, findings=(Finding("benign", 0.99),), abnormality=0.81)
    harmful = ImageResult("2", Decision.urgent, findings=(Finding("malignant", 0.9),), abnormality=0.9)
    assert decide_study([harmful, harmless]).index == 0


def test_nothing_read_keeps_the_first_reason() -> None:
    """A study of unreadable images is not triaged, and says why."""
    results = [
        _image(Decision.not_triaged, reason=Reason.too_large),
        _image(Decision.not_triaged, reason=Reason.no_pack),
    ]
    said = decide_study(results)
    assert (said.decision, said.reason, said.index) == (Decision.not_triaged, Reason.too_large, 0)


def test_reports_do_not_count() -> None:
    """A structured report beside a routine image leaves the study routine, and alone it is no image."""
    report = _image(Decision.not_triaged, reason=Reason.not_an_image)
    assert decide_study([report, _image(Decision.routine, 0.1)]).decision is Decision.routine
    assert decide_study([report]) == StudyDecision(Decision.not_triaged, Reason.no_images)
    assert decide_study([]).reason is Reason.no_images
