"""No sentence of the page is left in English: with a catalogue that brackets every message, all else is data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from babel.support import Translations

from appliance.schema import NO_DEVICE, Agreement, devices, messages, processes, set_aside, study_events
from appliance.web import language
from appliance.web.site import PLACES
from tests.unit.appliance.web.rows import NOW, Rows

#: Attributes that a person reads or hears.
SPOKEN = ("alt", "aria-label", "placeholder", "data-title", "data-words", "title")
#: Elements whose inside is the machine's: codes, moments, drawings, program text.
DATA = ("code", "kbd", "time", "script", "style", "title", "data", "samp", "option-value")
VOID = ("meta", "link", "br", "img", "input", "hr", "path", "rect", "circle", "line", "polyline", "use")
#: Names that stand on the page in every language, and the values that this test puts into the database.
NAMES = {
    "scanside", "north", "scanner", "pacs", "main", "cloud", "archive", "sqlite", "title", "sha", "uid", "dicom",
    "chest", "may", "doe", "jane", "hello", "cpu", "nothing", "stored", "report",
}  # fmt: skip


class Bracketed(Translations):
    """A catalogue in which every message is translated into itself between brackets."""

    def gettext(self, message: str) -> str:
        """⟦message⟧."""
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """⟦message⟧, in the English plural."""
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


def _said(value: str) -> str:
    """An attribute as a person hears it; of several sentences for a script each."""
    return " ".join(json.loads(value).values()) if value.startswith("{") else value


class Loose(HTMLParser):
    """Collects the words of a page that stand in no bracket and in no element for data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._open: list[str] = []
        self._texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element and take its attributes that are read out."""
        spoken = [value or "" for name, value in attrs if name in SPOKEN]
        self._texts += [_said(value) for value in spoken if tag not in ("code", "time")]
        if tag not in VOID:
            data = tag != "html" and any(name in ("translate", "lang") for name, _ in attrs)
            self._open.append("data" if data else tag)

    def handle_endtag(self, tag: str) -> None:
        """Close it."""
        if tag not in VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if not set(self._open) & set(DATA):
            self._texts.append(data)

    def words(self) -> set[str]:
        """Words of three letters and more, in lower case, that are no known name."""
        text = "\n".join(self._texts)
        while (without := re.sub(r"⟦[^⟦⟧]*⟧", " ", text)) != text:
            text = without
        return {word.lower() for word in re.findall(r"[^\W\d_]{3,}", text)} - NAMES


@pytest.fixture
def bracketed(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rows]:
    """A box of which every page has something to show, speaking in brackets."""
    monkeypatch.setattr(language, "_catalogue", lambda code: Bracketed())
    fill(rows)
    yield rows


def fill(rows: Rows) -> None:
    """A study of every kind, deliveries in every state, processes, devices, a notice, something set aside."""
    read: dict[str, Any] = {
        "pack": "chest",
        "pack_version": "1.0.0",
        "pack_digest": "a" * 64,
        "device": "CPU",
        "latency_ms": 12.0,
    }
    read |= {"decided_at": NOW - 50, "abnormality": 0.4, "lines_set_by": "", "instance_count": 1}
    rows.study("1.1", "urgent", **read, patient_name="DOE^JANE", patient_id="77", patient_age="004Y", modalities="DX")
    rows.study("1.2", "routine", **read)
    answered: dict[str, Any] = {
        "answer_decision": "urgent",
        "answer_pack": "chest",
        "answered_at": NOW,
        "escalated": True,
    }
    rows.study("1.3", "escalate", **read, **answered, answer_basis="image", agreement=Agreement.DISAGREES)
    rows.study("1.4", "not_triaged", reason="wrong_modality", decided_at=NOW - 40)
    rows.study("1.5")
    for uid in ("1.1", "1.3"):
        rows.finding(uid, "chest", 0.8)
        rows.put(study_events, study_instance_uid=uid, at=NOW - 50, kind="decided", detail="")
    for kind, outcome in (("report", "delivered"), ("picture", "parked"), ("key", "deferred"), ("event", "waiting")):
        rows.delivery("1.1", kind, "pacs-main", outcome)
    times: dict[str, Any] = {"started_at": NOW - 500, "restarts": 0, "pid": 1}
    rows.put(processes, name="cpu", state="", beat_at=NOW - 400, **times)
    rows.put(devices, pack_digest="a", device=NO_DEVICE, pack="chest", detail="nothing", measured_at=NOW)
    told: dict[str, Any] = {"sent_at": NOW, "received_at": NOW, "outcome_at": NOW, "told_at": NOW}
    rows.put(messages, seq=4, kind="notice", body={"level": "warning", "text": "hello"}, outcome="shown", **told)
    rows.put(set_aside, file_digest="b" * 64, reason="report", source="SCANNER", received_at=NOW)


PAGES = ["/?order=arrival", "/studies/1.1", "/studies/1.3", "/studies/1.4", *(path for path, _, _ in PLACES)]
#: Pages that may not have a word of their own any more; the others follow.


@pytest.mark.parametrize("path", PAGES)
def test_every_word_of_a_page_is_translated(bracketed: Rows, path: str) -> None:
    """What the test finds is an English word in a template or in Python that went by the catalogue."""
    page = bracketed.client().get(path, headers={"accept-language": "es"}).text
    assert "⟦" in page
    assert sorted(Loose(page).words()) == []


def test_the_problem_page_and_the_frame_are_translated(bracketed: Rows) -> None:
    """Every page stands in this frame."""
    page = bracketed.client().get("/studies/9.9", headers={"accept-language": "es"}).text
    assert sorted(Loose(page).words()) == []


def test_the_search_finds_what_was_forgotten() -> None:
    """Also in what is only read out, and not in what is data or said in a language of its own."""
    page = (
        '<p aria-label="Unsaid">⟦a ⟦b⟧ known⟧ <b>Forgotten</b><br><code>abc</code> 12 kB <i lang="fr">Français</i></p>'
    )
    assert Loose(page).words() == {"unsaid", "forgotten"}
