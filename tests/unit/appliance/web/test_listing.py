"""Pages of all studies: each study on one page, in order, whichever way one turns and whatever narrows the list."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.web.listing import PAGE_ROWS, Listed, Options, Place, WorklistRequest, day_begins, listed, options
from appliance.web.standing import URGENCY
from store_forward.database import reading
from tests.unit.appliance.web.rows import NOW, Rows

REQUESTS = {
    "by urgency": WorklistRequest(),
    "by arrival": WorklistRequest(order="arrival"),
    "one kind": WorklistRequest(show="escalate"),
    "disagreements": WorklistRequest(show="disagrees"),
    "a modality": WorklistRequest(modality="DX"),
    "a modality by arrival": WorklistRequest(order="arrival", modality="DX"),
    "a scanner": WorklistRequest(scanner="ROOM 2"),
    "a pack": WorklistRequest(order="arrival", pack="chest"),
    "words": WorklistRequest(search="doe"),
    "words by arrival": WorklistRequest(order="arrival", search="doe"),
}


@pytest.fixture
def many(rows: Rows) -> Rows:
    """Studies of every kind, several of them received in one instant."""
    kinds = (*URGENCY, None)
    for number in range(6 * PAGE_ROWS):
        decision = kinds[number % 5]
        cloud = {"answer_decision": "urgent", "agreement": "disagrees"} if number % 3 == 0 and decision else {}
        rows.study(
            f"1.{number}", decision, ago_s=float(number // 7), modalities=("DX", "DX\\SR", "MR")[number % 3],
            calling_ae_title=("ROOM 1", "ROOM 2")[number % 2], pack=("chest", None)[number % 2] if decision else None,
            patient_name="DOE^JANE", **cloud,
        )  # fmt: skip
    return rows


def page(rows: Rows, request: WorklistRequest, sees_patients: bool = True) -> Listed:
    """One page."""
    with reading(rows.engine) as conn:
        return listed(conn, request, sees_patients)


def uids(rows: Rows, request: WorklistRequest, sees_patients: bool = True) -> list[str]:
    """Who is on the page."""
    return [one.uid for one in page(rows, request, sees_patients).places]


def forwards(rows: Rows, request: WorklistRequest) -> Iterator[Listed]:
    """From the first page to the last."""
    values = {name: getattr(request, name) for name in ("order", "show", "search", "modality", "scanner", "pack")}
    found = page(rows, request)
    yield found
    while found.older is not None:
        found = page(rows, WorklistRequest(**values, after=found.older))
        yield found


@pytest.mark.parametrize("name", REQUESTS)
def test_pages_hold_every_study_once_both_ways(many: Rows, name: str) -> None:
    """Forwards, then backwards from the last: the same pages, each full but one, in one order."""
    request = REQUESTS[name]
    ahead = list(forwards(many, request))
    places = [place for one in ahead for place in one.places]
    key = (lambda p: p[1:]) if request.order == "arrival" else (lambda p: (-p.rank, *p[1:]))
    assert places == sorted(places, key=key, reverse=True)
    assert len({place.uid for place in places}) == len(places) > 0
    assert [len(one.places) for one in ahead[:-1]] == [PAGE_ROWS] * (len(ahead) - 1)
    assert (ahead[0].newer, ahead[-1].older) == (None, None)
    values = {name: getattr(request, name) for name in ("order", "show", "search", "modality", "scanner", "pack")}
    back = page(many, WorklistRequest(**values, last=True))
    seen = list(back.places)
    while back.newer is not None:
        back = page(many, WorklistRequest(**values, before=back.newer))
        seen = [place for place in back.places if place not in seen] + seen
    assert seen == places


def test_each_filter_leaves_what_it_says(many: Rows) -> None:
    """Counted by hand: of 150 studies, 120 decided; one of three of each modality, one of two of each scanner."""

    def count(**values: Any) -> int:
        return sum(len(one.places) for one in forwards(many, WorklistRequest(**values)))

    assert count() == 120
    assert count(order="arrival") == 150
    assert count(show="pending") == 30
    assert count(modality="DX") == 100
    assert count(modality="SR") == count(modality="MR") == 50
    assert count(scanner="ROOM 2") == 75
    assert count(pack="chest") == 60
    assert count(modality="D") == count(scanner="ROOM") == count(modality="%") == count(modality="\\") == 0
    assert count(show="disagrees") == 40
    assert count(scanner="ROOM 1", modality="MR", show="urgent") == 5


def test_days_are_those_of_the_box(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """From and to are whole days in its own time zone; what is no day narrows nothing."""
    monkeypatch.setenv("TZ", "America/Bogota")
    time.tzset()
    try:
        midnight = day_begins("2026-05-28")
        assert midnight is not None
        assert time.localtime(midnight)[:5] == (2026, 5, 28, 0, 0)
        rows.study("before", "routine", ago_s=NOW - midnight + 1)
        rows.study("first", "routine", ago_s=NOW - midnight)
        rows.study("last", "routine", ago_s=NOW - midnight - 86399)
        rows.study("after", "routine", ago_s=NOW - midnight - 86400)
        assert uids(rows, WorklistRequest(since="2026-05-28", until="2026-05-28")) == ["last", "first"]
        assert uids(rows, WorklistRequest(until="2026-05-27")) == ["before"]
        assert len(uids(rows, WorklistRequest(since="28 May"))) == 4
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_study_that_moved_away_leaves_a_page(many: Rows) -> None:
    """Turning to a page that is empty by now shows the last there is; beside the first there is the first."""
    first = page(many, WorklistRequest(show="urgent"))
    nowhere = Place(0, 0.0, "")
    assert page(many, WorklistRequest(show="urgent", after=nowhere)) == page(
        many, WorklistRequest(show="urgent", last=True)
    )
    assert page(many, WorklistRequest(show="urgent", before=first.places[3])) == first


def test_the_values_of_the_filters(many: Rows) -> None:
    """Of decided studies, each once; several modalities of a study are several values."""
    with reading(many.engine) as conn:
        assert options(conn) == Options(("DX", "MR", "SR"), ("ROOM 1", "ROOM 2"), ("chest",))


def test_words_find_names_numbers_and_descriptions(rows: Rows) -> None:
    """By how a word begins, whatever case and accents; all words must be there; a UID by its beginning."""
    rows.study(
        "1.2.3", "urgent", patient_name="MÜLLER^Jane=山田^花子", patient_id="P_77%", study_description="Thorax AP"
    )
    rows.study("1.2.4", None, patient_name="ROE^RICHARD", accession_number="ACC-9/1")
    for words, found in {
        "mull": ["1.2.3"], "jane MÜLLER": ["1.2.3"], "MÜLLER^Jane": ["1.2.3"], "山田": ["1.2.3"], "thor ap": ["1.2.3"],
        "acc-9": ["1.2.4"], "roe": ["1.2.4"], "1.2": ["1.2.3", "1.2.4"], "1.2.4": ["1.2.4"], "1.2.": ["1.2.3", "1.2.4"],
        "jane roe": [], "%": [], "_": [], "P%": ["1.2.3"], "*": [], '"': [], "NOT roe": [], "roe OR jane": [],
        "patient_name : roe": [], "1.2.5": [],
    }.items():  # fmt: skip
        assert sorted(uids(rows, WorklistRequest(search=words))) == found, words


def test_nobody_finds_by_what_they_may_not_see(rows: Rows) -> None:
    """A list that shrinks to one row would tell the name as well as showing it."""
    rows.study(
        "1.2", "urgent", patient_name="DOE^JANE", patient_id="77", accession_number="A1", study_description="Hip"
    )
    for words in ("doe", "77", "a1", "doe hip"):
        assert uids(rows, WorklistRequest(search=words), sees_patients=False) == []
    for words in ("hip", "1.2"):
        assert uids(rows, WorklistRequest(search=words), sees_patients=False) == ["1.2"]


def test_too_many_that_fit_are_said(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest are looked at, and the page says that it was not all."""
    monkeypatch.setattr("appliance.web.search.MOST_FOUND", 3)
    for number in range(5):
        rows.study(f"1.{number}", "urgent", patient_name="DOE", ago_s=10.0 - number)
    found = page(rows, WorklistRequest(search="doe"))
    assert ([one.uid for one in found.places], found.searched_all) == (["1.4", "1.3", "1.2"], False)
    assert not page(rows, WorklistRequest(search="1.")).searched_all
    assert "only the latest" in rows.client().get("/?search=doe").text
