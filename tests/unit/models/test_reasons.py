"""The closed set of reasons."""

from __future__ import annotations

from models.reasons import EXPLANATIONS, SCOPE_REASONS, Reason


def test_every_reason_has_a_sentence_that_says_what_to_do() -> None:
    """No reason without an explanation, none left over, each with an instruction after a semicolon."""
    assert set(EXPLANATIONS) == set(Reason)
    for sentence in EXPLANATIONS.values():
        assert ";" in sentence or "have it read" in sentence


def test_damage_is_never_a_scope_reason() -> None:
    """Only sound images no pack was made for may become an escalation by configuration."""
    damaged = {Reason.not_dicom, Reason.unreadable_pixels, Reason.model_failed, Reason.not_an_image}
    assert not damaged & SCOPE_REASONS
