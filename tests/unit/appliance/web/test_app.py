"""The page over ASGI, in process."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest

from appliance.schema import processes, set_aside, study_events
from appliance.web.wording import reason_words
from tests.unit.appliance.web.rows import NOW, PNG, Rows

MARKUP = "<script>alert(1)</script>"
SENTENCE = "Research use only. Not for diagnosis."


class Elements(HTMLParser):
    """Collects element names, attributes and text; asserts that elements are nested."""

    VOID = frozenset({"meta", "link", "img", "input", "path", "rect", "circle", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.names.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself."""
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """Check the nesting."""
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text += data


def page(rows: Rows, path: str = "/") -> Elements:
    """A page that must be there."""
    answer = rows.client().get(path)
    assert answer.status_code == 200
    return Elements(answer.text)


def full(rows: Rows) -> None:
    """One study of every kind, everything else that the page can show, and markup in every free text."""
    rows.study("1", "urgent", patient_name=f"{MARKUP}^x", patient_id=MARKUP, study_description=MARKUP,
               modalities="DX", calling_ae_title="<b>AE</b>", pack="p",
               pack_digest="a" * 64, detail=MARKUP)  # fmt: skip
    rows.finding("1", f"pneumonia{MARKUP}", 0.93)
    rows.delivery("1", "report", "pacs-main", "parked")
    rows.study("2", "escalate", escalated=True)
    rows.delivery("2", "escalation", "cloud", "deferred")
    rows.study("3", "escalate", escalated=True)
    rows.delivery("3", "escalation", "cloud", "delivered")
    rows.study("4", "not_triaged", reason="age_unknown")
    rows.study("5", "routine", answer_decision="urgent", agreement="disagrees", answer_pack="q")
    rows.study("6", "escalate", answer_decision="routine")
    rows.study("7", "escalate", answer_decision="urgent", agreement="agrees")
    rows.study("8")
    rows.put(study_events, study_instance_uid="1", at=NOW, kind="decided", detail=MARKUP)
    rows.put(set_aside, file_digest="b" * 64, reason="cannot_understand", detail=MARKUP, source="x", received_at=NOW)
    rows.put(processes, name="triage", pid=1, state="running", started_at=NOW, beat_at=NOW - 500, detail=MARKUP)


def test_an_empty_box_says_where_to_send(rows: Rows) -> None:
    """The first thing an engineer needs."""
    assert "No study yet. Point the scanner at AE title SCANSIDE, port 11112." in page(rows).text


def test_the_worklist_says_how_each_study_stands(rows: Rows) -> None:
    """In words, for every way that box, link and cloud can stand."""
    full(rows)
    text = " ".join(page(rows).text.split())
    for words in (
        "provisional, waiting for the link", "provisional, sent to cloud", "confirmed by the full model",
        "answered by the full model", "Box and cloud disagree. Box: Routine. Full model: Urgent.",
        reason_words("age_unknown"), "93 %", "In progress 1",
        "The triage process has been silent", "1 delivery to pacs-main is parked",
    ):  # fmt: skip
        assert words in text
    assert "Pacs refused object" in page(rows, "/link").text


@pytest.mark.parametrize(
    "path", ["/", "/link", "/box", "/studies/1", "/studies/5", "/?order=arrival", "/?show=disagrees", "/studies/9"]
)
def test_every_page_carries_product_and_warning_and_no_foreign_thing(rows: Rows, path: str) -> None:
    """The sentence, well-formed nesting, assets of our own, nothing inline, unique ids."""
    full(rows)
    found = Elements(rows.client().get(path).text)
    assert SENTENCE in found.text
    assert "Scanside" in found.text
    addresses = [value or "" for name, value in found.attributes if name in ("src", "href", "data-fragment")]
    assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in addresses)
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert not any(name == "style" or name.startswith("on") for name, _ in found.attributes)


@pytest.mark.parametrize("path", ["/", "/studies/1", "/fragments/", "/fragments/studies/1"])
def test_markup_in_names_shows_as_text(rows: Rows, path: str) -> None:
    """A patient name, a finding or a far side's words can never become an element."""
    full(rows)
    found = page(rows, path)
    assert MARKUP in found.text
    assert "alert(1)" not in "".join(value or "" for name, value in found.attributes if name == "src")
    own = {value.partition("?")[0] for name, value in found.attributes if name == "src" and value and ".js" in value}
    assert found.names.count("script") == len(own)
    assert all(address.startswith("/static/") for address in own)
    assert "i" not in found.names


def test_a_decision_is_a_word_and_a_shape(rows: Rows) -> None:
    """Neither colour nor shape alone carries it."""
    rows.study("1", "urgent")
    html = rows.client().get("/").text
    badge = html.split('<span class="decision urgent">')[1].split("</span>")[0]
    assert "<svg" in badge
    assert "Urgent" in badge


def test_patients_are_hidden_when_configured_so(rows: Rows, tmp_path: Path) -> None:
    """On the worklist and on the study's own page."""
    rows.configure(tmp_path, page={"show_patient": False})
    rows.study("1", "urgent", patient_name="DOE^JANE", patient_id="ID-77", accession_number="ACC-9")
    for path in ("/", "/studies/1"):
        text = page(rows, path).text
        assert not any(private in text for private in ("DOE", "ID-77", "ACC-9"))


def test_the_study_page_shows_reason_history_and_deliveries(rows: Rows) -> None:
    """What a person needs who asks why."""
    full(rows)
    text = " ".join(page(rows, "/studies/1").text.split())
    for words in ("Report to pacs-main: Parked", "Report → pacs-main parked", "0xA900", "History", "Decided"):
        assert words in text
    assert reason_words("age_unknown") in page(rows, "/studies/4").text


def test_the_picture_says_which_finding_is_coloured_or_that_nothing_was_read(rows: Rows) -> None:
    """A heat map is a statement about one finding; a picture nobody read has no colours to explain."""
    rows.study("1", "urgent", heat_map="a" * 64, heat_map_finding="pleural_effusion")
    rows.study("2", "not_triaged", reason="age_unknown", heat_map="a" * 64)
    assert "evidence of the box's model for pleural effusion stands out" in page(rows, "/studies/1").text
    unread = page(rows, "/studies/2").text
    assert "no model has read it." in unread
    assert "Warm colours" not in unread
    rows.study("3", "escalate", heat_map="a" * 64, pack="breast", pack_version="1.0.0", pack_digest="b" * 64)
    unproven = page(rows, "/studies/3").text
    assert "nothing shows that its pack's heat map points at a finding" in unproven.replace("&#39;", "'")
    assert "Warm colours" not in unproven


def test_an_unknown_study_is_a_plain_404(rows: Rows) -> None:
    """With a way back, and for a UID of any shape."""
    for uid in ("9.9", "a/b", quote("<x>", safe="")):
        answer = rows.client().get(f"/studies/{uid}")
        assert answer.status_code == 404
        assert "There is no study with this UID" in answer.text


def test_a_study_whose_uid_needs_quoting_can_be_opened(rows: Rows) -> None:
    """Scanners send what they like; its link on the worklist must work."""
    rows.study("1/2 3?", "urgent")
    links = [value for name, value in page(rows).attributes if name == "href" and value and "/studies/" in value]
    assert links
    assert rows.client().get(links[0]).status_code == 200


def test_pictures_come_only_for_the_study_that_names_them(rows: Rows) -> None:
    """A report, another study's picture or a path is not to be had."""
    picture, report = rows.spool.keep_bytes(PNG).digest, rows.spool.keep_bytes(b"DICM").digest
    rows.study("1", "urgent", thumbnail=picture, heat_map=report)
    rows.study("2", "urgent", thumbnail="c" * 64)
    client = rows.client()
    answer = client.get(f"/images/{picture}?study=1")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")
    refused = (f"{picture}?study=2", picture, f"{report}?study=1", f"{'c' * 64}?study=2", "..%2f..%2fbox.db?study=1")
    assert {client.get(f"/images/{path}").status_code for path in refused} == {404}


def test_the_fragment_is_the_inside_of_the_page(rows: Rows) -> None:
    """What the script swaps in is what the server would have sent."""
    full(rows)
    client = rows.client()
    for whole, fragment in (
        ("/", "/fragments/"),
        ("/link", "/fragments/link"),
        ("/box", "/fragments/box"),
        ("/studies/1", "/fragments/studies/1"),
    ):
        assert client.get(fragment).text.strip() in client.get(whole).text
        assert f'data-fragment="{fragment}"' in client.get(whole).text


def test_the_digest_in_the_page_follows_the_state(rows: Rows) -> None:
    """The script compares it with the stream's to know whether it is up to date."""

    def digest() -> str:
        found = dict(page(rows).attributes)
        return found["data-digest"] or ""

    first = digest()
    rows.study("1", "urgent", ago_s=0.0)
    rows.now += 2
    assert first != digest()


def test_without_script_the_page_reloads_itself(rows: Rows) -> None:
    """The refresh stands in noscript only."""
    html = rows.client().get("/").text
    assert '<noscript><meta http-equiv="refresh"' in html


def test_the_status_is_there_as_json(rows: Rows) -> None:
    """For monitoring, without patients."""
    full(rows)
    answer = rows.client().get("/api/status")
    assert answer.json()["worklist"]["counts"]["disagrees"] == 1
    assert "patient_name" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "before=9_nan_1",
        "after=0_inf_9",
        "after=-7_1_1",
        "show=everything",
        "order=arrival&before=now",
        "order=arrival&before=0_nan_",
        "last=x",
        "since=yesterday",
        "until=9999-12-31",
        "search=%25",
        "search=%00",
        "search=%22%20AND%20(",
        "modality=%5C",
        "scanner=%27%20OR%201=1--",
        "search=*",
        "search=1.",
        "search=a:b^c-d",
    ],
)
def test_a_query_that_makes_no_sense_still_shows_the_worklist(rows: Rows, query: str) -> None:
    """Old bookmarks and typing errors are no failure."""
    rows.study("1", "urgent")
    assert rows.client().get(f"/?{query}").status_code == 200


def test_a_database_that_cannot_be_read_is_said_plainly(rows: Rows) -> None:
    """As a page for people, never as a trace."""
    with rows.engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE processes")
    client = rows.client()
    answer = client.get("/")
    assert (answer.status_code, SENTENCE in answer.text) == (503, True)
    assert "cannot be read" in answer.text


def test_only_reading_is_possible(rows: Rows) -> None:
    """What shows something takes nothing, not even from the page itself."""
    client = rows.client()
    own = {"origin": str(client.base_url).rstrip("/")}
    paths = ("/", "/api/status", "/studies/1", "/events")
    assert {client.post(path, headers=own).status_code for path in paths} == {405}
