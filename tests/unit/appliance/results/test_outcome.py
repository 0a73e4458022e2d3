"""The decision as plain values."""

from __future__ import annotations

from appliance.results.outcome import AmendedAnswer, ImageFinding, StudyOutcome, in_words
from models.decision import Decision
from models.reasons import EXPLANATIONS, Reason


def test_findings_on_an_image_are_its_own() -> None:
    """The most probable first, and none for an image that was not read."""
    findings = (ImageFinding("1", "a", 0.2), ImageFinding("1", "b", 0.7), ImageFinding("2", "c", 0.9))
    outcome = StudyOutcome("1.2", 1, Decision.urgent, 0.0, findings=findings)
    assert outcome.findings_on("1") == [findings[1], findings[0]]
    assert outcome.findings_on("3") == []


def test_an_answer_moves_the_time() -> None:
    """Documents of an amended outcome carry the time of the answer."""
    answer = AmendedAnswer(Decision.routine, None, (), None, None, 9.0)
    assert StudyOutcome("1.2", 1, Decision.escalate, 5.0).recorded_at == 5.0
    assert StudyOutcome("1.2", 1, Decision.escalate, 5.0, answer=answer).recorded_at == 9.0


def test_words_explain_the_reason() -> None:
    """A person reads what the reason means, not its code."""
    words = in_words(Decision.not_triaged, Reason.age_unknown, "no birth date")
    assert words.startswith("Not triaged: ") and words.endswith("(no birth date)")
    assert EXPLANATIONS[Reason.age_unknown] in words
    assert in_words(Decision.urgent, None) == "Urgent"
