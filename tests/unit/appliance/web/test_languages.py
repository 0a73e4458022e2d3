"""Numbers, plurals and tables follow the reader's language; what machines read does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from appliance.web import wording
from appliance.web.language import LANGUAGES, Spoken, _language
from tests.unit.appliance.web.rows import Rows


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """As within a request that is answered in this language."""
    before = _language.set(code)
    yield
    _language.reset(before)


@pytest.fixture(params=LANGUAGES)
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each language of the page."""
    with speaking(request.param):
        yield str(request.param)


@pytest.mark.parametrize(
    ("code", "words"), [("en", "12,345.6"), ("es", "12.345,6"), ("fr", "12\u202f345,6"), ("pt", "12.345,6")]
)
def test_numbers_are_written_as_the_reader_does(code: str, words: str) -> None:
    """Separators by CLDR, through Babel."""
    with speaking(code):
        assert wording.number_words(12345.6, 1) == words


def test_every_value_can_be_said_in_every_language(spoken: str) -> None:
    """Whatever the plural; no placeholder is left over."""
    said = [
        *(wording.age_words(seconds) for seconds in (0, 60, 3600, 3660, 86_400, 172_800, 86_400 * 11)),
        *(wording.size_words(size) for size in (0, 1, 2, 5, 11, 100, 1.5e3, 2e6, 3e9, 4e12)),
        *(wording.latency_words(span) for span in (0.3, 240, 1800)),
        *(wording.patient_age(age) for age in ("001Y", "002M", "003W", "011D")),
        *(wording.percent_words(share) for share in (0.0, 0.5, 1.0, 2.0)),
        *(wording.alone_words(days, alone) for days, alone in ((0, None), (1, None), (1, 0.5), (1, 3.0), (1, 900.0))),
        wording.count_words(1000, 1000),
        *Spoken(wording.ROOM_WORDS).values(),
    ]
    assert all(one and "%(" not in one for one in said)


def test_a_table_is_read_when_it_is_shown() -> None:
    """Not when the module is loaded, when no language is known yet."""
    table = Spoken({"a": wording.ROOM_WORDS["plenty"]})
    assert dict(table) == {"a": wording.ROOM_WORDS["plenty"]}
    assert table.get("b") is None
    assert len(table) == 1


def test_what_machines_ask_for_is_english(rows: Rows) -> None:
    """Whatever their libraries accept: a monitor compares these words."""
    headers = {"accept-language": "fr", "cookie": "scanside_language=ar"}
    rows.delivery("1", "report", "pacs-main", "parked")
    told = rows.client().get("/api/status", headers=headers).json()["notices"]
    assert any("delivery to pacs-main is parked" in one["text"] for one in told)
    assert 'lang="ar"' in rows.client().get("/", headers=headers).text
