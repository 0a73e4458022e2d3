"""Pseudonyms, UIDs and shifts: the same for ever under one key, and unrelated under another."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.privacy.package import site_key
from appliance.privacy.pseudonyms import (
    LEAST_SHIFT_DAYS,
    MOST_SHIFT_DAYS,
    instance_uid,
    patient_pseudonym,
    pseudonymous_uid,
    shift_days,
    shifted_date,
)

STUDIES = 10_000


def stand_ins(key: bytes) -> list[tuple[str, str, int]]:
    """Pseudonym, study UID and shift of ten thousand studies of five thousand patients."""
    made = []
    for number in range(STUDIES):
        patient, study = f"P{number // 2}", f"1.2.3.{number}"
        made.append(
            (patient_pseudonym(patient, study, key), pseudonymous_uid(study, key), shift_days(patient, study, key))
        )
    return made


def test_ten_thousand_studies_keep_their_names_over_two_restarts(tmp_path: Path) -> None:
    """The key is read anew each time, as after a restart; two studies of a patient stay one patient's."""
    first, second, third = (stand_ins(site_key(tmp_path / "site.key")) for _ in range(3))
    assert first == second == third
    assert len({one[0] for one in first}) == STUDIES // 2
    assert len({one[1] for one in first}) == STUDIES
    assert all(first[number][::2] == first[number + 1][::2] for number in range(0, STUDIES, 2))


def test_nobody_without_the_key_can_link_them(tmp_path: Path) -> None:
    """Another site's stand-ins for the same studies have nothing in common with ours."""
    ours, theirs = (stand_ins(site_key(tmp_path / name)) for name in ("a.key", "b.key"))
    assert not {one[0] for one in ours} & {one[0] for one in theirs}
    assert not {one[1] for one in ours} & {one[1] for one in theirs}
    same = sum(one[2] == other[2] for one, other in zip(ours, theirs, strict=True))
    assert same < STUDIES / 100


def test_shifts_are_whole_days_of_more_than_a_year() -> None:
    """So a moved date is never one of the same examination."""
    shifts = {shift_days(f"P{number}", "", bytes(32)) for number in range(2000)}
    assert min(shifts) >= LEAST_SHIFT_DAYS and max(shifts) <= MOST_SHIFT_DAYS and len(shifts) > 1000


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("20240301", "20240229"),
        ("20240301101500.123+0200", "20240229101500.123+0200"),
        ("2024.03.01", "20240229"),
        ("20240301-20240401", ""),
        ("20241399", ""),
        ("00010101", ""),
        ("2024", ""),
        ("", ""),
    ],
)
def test_a_date_moves_or_goes(before: str, after: str) -> None:
    """What is no whole date has no value afterwards."""
    assert shifted_date(before, 1) == after


def test_uids_of_the_standard_stay() -> None:
    """They name classes and syntaxes, not instances."""
    assert instance_uid("1.2.840.10008.5.1.4.1.1.2", bytes(32)) == "1.2.840.10008.5.1.4.1.1.2"
    assert instance_uid("1.2.3", bytes(32)).startswith("2.25.")
