"""The rules of the allow-list: a word must be known, a number must be possible."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.datadict import dictionary_VM, dictionary_VR

from appliance.privacy.allow_list import (
    ELEMENTS,
    EMPTIED,
    PSEUDONYMS,
    UIDS,
    Rule,
    number,
    one_of,
    orientation,
    standard_uid,
    whole,
)


@pytest.mark.parametrize(
    ("rule", "value", "kept"),
    [
        (one_of("AP PA"), "ap ", "AP"),
        (one_of("AP PA"), "AP SMITH", None),
        (one_of("A B"), ["A", "B"], ["A", "B"]),
        (one_of("A B"), ["A", "SMITH"], None),
        (one_of("A"), "", None),
        (one_of("A"), None, None),
        (one_of("", "FOR PRESENTATION"), "FOR PRESENTATION", "FOR PRESENTATION"),
        (number(0, 10), "0.5", "0.5"),
        (number(0, 10), "nan", None),
        (number(0, 10), 19840321, None),
        (number(0, 10), "SMITH", None),
        (number(0, 10, (2, 2)), ["0.4", "0.4"], ["0.4", "0.4"]),
        (number(0, 10, (2, 2)), "0.4", None),
        (number(0, 10), b"\x01", None),
        (whole(0, 9), "7", 7),
        (whole(0, 9), "7.5", None),
        (whole(0, 9), 10, None),
        (standard_uid, "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1"),
        (standard_uid, "1.2.826.0.1", None),
        (orientation, ["L", "F"], ["L", "F"]),
        (orientation, ["LEFT", "F"], None),
    ],
)
def test_a_rule_keeps_what_it_should_and_no_more(rule: Rule, value: Any, kept: Any) -> None:
    """Known words and possible numbers pass; everything else is dropped, whole."""
    assert rule(value) == kept


def test_numbers_fit_a_decimal_string() -> None:
    """A rewritten number never exceeds the 16 characters of a DS."""
    kept = number(-1e6, 1e6)(-1.23456789012345e-5)
    assert len(kept) <= 16 and float(kept) == pytest.approx(-1.23456789e-5, rel=1e-8)


def test_every_name_is_a_dicom_keyword_and_listed_once() -> None:
    """A misspelt keyword would silently drop what it names."""
    for keyword in (*ELEMENTS, *EMPTIED, *PSEUDONYMS, *UIDS):
        assert dictionary_VR(keyword) and dictionary_VM(keyword)
    assert not set(ELEMENTS) & {*EMPTIED, *PSEUDONYMS, *UIDS}
