"""Every event of a study's history has a name on the page."""

from __future__ import annotations

from appliance.web.event_words import EVENT_WORDS, event_words
from tests.docs.code_facts import study_event_kinds


def test_every_event_has_words() -> None:
    """And none has words that never happens."""
    assert set(EVENT_WORDS) == study_event_kinds()
    assert event_words("rerun") == "Reading again asked for"
    assert event_words("of_tomorrow") == "of tomorrow"
