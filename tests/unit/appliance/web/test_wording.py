"""Values as words."""

from __future__ import annotations

from datetime import UTC

import pytest

from appliance.web import wording
from models.reasons import Reason


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "under a minute"), (59, "under a minute"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"),
     (11_520, "3 h 12 min"), (86_400, "1 day"), (432_000, "5 days")],
)  # fmt: skip
def test_an_age_is_said_in_its_largest_units(seconds: float, words: str) -> None:
    """Neither a clock set back nor a long outage makes an odd age."""
    assert wording.age_words(seconds) == words


def test_a_moment_of_today_needs_no_date_and_another_one_does() -> None:
    """The date stands there exactly when it differs from the reader's."""
    assert wording.clock_words(43_200, 50_000, UTC) == "12:00:00"
    assert wording.clock_words(43_200, 43_200 + 86_400, UTC) == "1970-01-01 12:00"
    assert wording.machine_time(43_200) == "1970-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0.0, "under 1 %"), (0.004, "under 1 %"), (0.5, "50 %"), (0.996, "over 99 %"), (1.0, "over 99 %"),
     (float("nan"), "unknown"), (1.5, "unknown")],
)  # fmt: skip
def test_no_probability_is_rounded_into_certainty(probability: float, words: str) -> None:
    """0 % and 100 % are never claimed, and nonsense is not dressed up as a number."""
    assert wording.percent_words(probability) == words


def test_sizes_and_durations_have_a_unit() -> None:
    """Decimal prefixes as on disks; milliseconds until a second."""
    assert [wording.size_words(n) for n in (5, 1500, 640_000, 12_500_000_000)] == [
        "5 bytes", "1.5 kB", "640 kB", "12.5 GB",
    ]  # fmt: skip
    assert [wording.latency_words(n) for n in (3.14, 240.2, 1800)] == ["3.1 ms", "240 ms", "1.8 s"]
    assert [wording.count_words(n, 1000) for n in (12, 1000)] == ["12", "1,000 or more"]


@pytest.mark.parametrize(
    ("value", "words"),
    [("DOE^JANE", "DOE, JANE"), ("Wang^XiaoDong=王^小东", "Wang, XiaoDong"), ("SMITH", "SMITH"), ("^^^", ""),
     ("", ""), ("GARCÍA LÓPEZ^MARÍA^DEL^Dr", "GARCÍA LÓPEZ, MARÍA DEL")],
)  # fmt: skip
def test_a_person_name_reads_as_family_and_given(value: str, words: str) -> None:
    """PS3.5 6.2.1: components by caret, groups by equals sign."""
    assert wording.person_name(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [("004Y", "4 years"), ("001M", "1 month"), ("", ""), ("old", "old"), ("12", "12")]
)
def test_a_patient_age_reads_with_its_unit(value: str, words: str) -> None:
    """PS3.5 6.2 AS; what is not one is shown as it came."""
    assert wording.patient_age(value) == words


def test_dates_and_codes_read_plainly() -> None:
    """A DA becomes an ISO date and a code becomes a phrase."""
    assert wording.dicom_date("20261121") == "2026-11-21"
    assert wording.dicom_date("soon") == "soon"
    assert wording.plain("pleural_effusion") == "Pleural effusion"
    assert wording.short_uid("1.2.840.10008.5.1.4.1.1") == "…0008.5.1.4.1.1"[:1] + "1.2.840.10008.5.1.4.1.1"[-12:]


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_a_sentence(reason: Reason) -> None:
    """A reader never sees a bare code for a reason we know."""
    words = wording.reason_words(reason.value)
    assert words[0].isupper()
    assert words.endswith(".")
    assert "_" not in words


def test_an_unknown_reason_is_shown_all_the_same() -> None:
    """A newer cloud may give reasons that this box has never heard of."""
    assert wording.reason_words("sun_spots") == "Sun spots."
    assert wording.reason_words(None) == ""
