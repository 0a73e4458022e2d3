"""The reason of a decision in plain words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from appliance.web.explained import explained


def row(decision: str, **values: Any) -> Any:
    """A row of ``studies``."""
    bound = {"missed": 0.02, "false_alarms": 0.05, "confidence": 0.95}
    known = {"abnormality": 0.4, "routine_below": 0.02, "urgent_from": 0.93, "lines_set_by": "", "reason": None}
    return SimpleNamespace(decision=decision, **(known | {"bound": bound} | values))


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("routine", "Of 100 studies called routine by these lines, at most 2 are abnormal, at 95 % confidence"),
        ("urgent", "Of 100 studies called urgent by these lines, at most 5 have nothing to act on, at 95 % confidence"),
        ("escalate", "That lies between the lines (routine below 2 %, urgent from 93 %)"),
    ],
)
def test_each_decision_names_what_it_rests_on(decision: str, words: str) -> None:
    """The line it was on which side of, and the bound that the pack has shown."""
    assert words in " ".join(explained(row(decision)))


def test_lines_set_elsewhere_have_no_bound() -> None:
    """What the pack has shown is not about them."""
    said = " ".join(explained(row("routine", lines_set_by="message 7 of the cloud")))
    assert "Of 100" not in said
    assert "set by message 7 of the cloud; nothing has been shown" in said


def test_without_a_model_nothing_is_claimed() -> None:
    """The reason code says why there was none."""
    assert explained(row("not_triaged", abnormality=None)) == ()
    assert explained(row("routine", bound=None)) == explained(row("routine", bound={}))
