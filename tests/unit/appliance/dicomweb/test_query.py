"""Matching of QIDO-RS as values (PS3.4 C.2.2.2)."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import QueryParams

from appliance.dicomweb.attributes import KNOWN, Level, element, key_of
from appliance.dicomweb.query import read_query


def _fits(keyword: str, asked: str, *values: Any) -> bool:
    query = read_query(QueryParams({keyword: asked}), Level.INSTANCE, frozenset(), 10)
    return query.fits(element(keyword, *values))


@pytest.mark.parametrize(
    ("keyword", "asked", "value", "fits"),
    [
        ("StudyDescription", "C.est*", "Chest AP", False),
        ("StudyDescription", "Ch?st AP", "Chest AP", True),
        ("StudyDescription", "chest AP", "Chest AP", False),
        ("StudyDescription", "[a*", "[a] (b)+", True),
        ("StudyDescription", "*", "", True),
        ("StudyDate", "20260101", "20260101", True),
        ("StudyDate", "20260101-", "20251231", False),
        ("StudyDate", "-20260101", "20260101", True),
        ("StudyTime", "0900-0930", "093059.5", True),
        ("StudyTime", "0900-0930", "0931", False),
        ("StudyTime", "09", "093059", True),
        ("SeriesNumber", "1", 1, True),
        ("SeriesNumber", "1", 11, False),
        ("SOPInstanceUID", "1.2,1.3", "1.3", True),
        ("SOPInstanceUID", "1.2\\1.3", "1.2", True),
        ("SOPInstanceUID", "1.*", "1.2", False),
        ("PatientName", "doe^j*", {"Alphabetic": "Doe^Jane"}, True),
        ("PatientName", "山田*", {"Alphabetic": "Yamada", "Ideographic": "山田^太郎"}, True),
        ("PatientName", "doe", {"Alphabetic": "Doe^Jane"}, False),
    ],
)
def test_a_value_fits_or_not(keyword: str, asked: str, value: Any, fits: bool) -> None:
    """Wildcards where the VR has them, ranges of dates and times, lists of UIDs, names whatever their case."""
    assert _fits(keyword, asked, value) is fits


def test_what_is_not_there_fits_only_what_matches_everything() -> None:
    """An absent value is no match of a value."""
    assert not _fits("StudyDescription", "Chest")
    assert _fits("StudyDescription", "")


def test_tags_and_keywords_are_the_same_key() -> None:
    """In either case of letters."""
    for name in ("0020000d", "0020000D", "StudyInstanceUID"):
        query = read_query(QueryParams({name: "1.2"}), Level.STUDY, frozenset(), 10)
        key = query.value("0020000D")
        assert key is not None
        assert key.listed == ("1.2",)


def test_all_is_everything_that_is_known() -> None:
    """Of the level and those above."""
    query = read_query(QueryParams({"includefield": "all"}), Level.INSTANCE, frozenset(), 10)
    assert query.fields == frozenset(KNOWN)
    few = read_query(QueryParams({"includefield": "PatientAge,NoSuchName"}), Level.STUDY, frozenset(), 10)
    assert key_of("PatientAge") in few.fields
    assert key_of("Modality") not in few.fields
