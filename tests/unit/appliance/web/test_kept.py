"""Fragments that many open pages share."""

from __future__ import annotations

from pathlib import Path

from appliance.web.kept import KEPT_S, MOST_KEPT, KeptFragments
from tests.unit.appliance.web.rows import Rows


def test_one_is_made_however_many_ask() -> None:
    """Anew for something else, and when it has been kept for long enough."""
    now, made = [0.0], list[str]()
    kept = KeptFragments(lambda: now[0])

    def ask(what: str) -> bytes:
        def make() -> bytes:
            made.append(what)
            return what.encode()

        return kept.of(what, make)

    assert [ask("a"), ask("a"), ask("b")] == [b"a", b"a", b"b"]
    now[0] = KEPT_S
    ask("a")
    assert made == ["a", "b", "a"]


def test_no_more_are_kept_than_fit() -> None:
    """The oldest go."""
    kept = KeptFragments(lambda: 0.0)
    for number in range(MOST_KEPT + 1):
        kept.of(number, lambda: b"first")
    assert [kept.of(number, lambda: b"anew") for number in (MOST_KEPT, 0)] == [b"first", b"anew"]


def test_what_one_may_see_is_not_kept_for_another(rows: Rows, tmp_path: Path) -> None:
    """Neither patients for who may not see them, nor one language for another, nor another page of the list."""
    rows.study("1", "urgent", patient_name="DOE^JANE")
    client = rows.client()
    first = client.get("/fragments/")
    assert "DOE" in first.text
    assert client.get("/fragments/").text == first.text
    assert client.get("/fragments/?show=routine").text != first.text
    rows.configure(tmp_path, page={"show_patient": False})
    assert "DOE" not in rows.client().get("/fragments/").text
