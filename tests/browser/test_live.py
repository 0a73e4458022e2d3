"""A page that stays open: what comes appears, what a person does to it stays, and a break is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect
from pydicom import dcmread
from pydicom.uid import generate_uid

from appliance.demo.stage import Stage, listening
from appliance.demo.studies import DemoImage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

MARKUP = "<b>DOE</b><script>alert(1)</script>"
SOON_MS = 60_000
Sender = Callable[..., str]


@pytest.fixture
def arrives(stage: Stage, images: list[DemoImage], tmp_path: Path) -> Sender:
    """Send a new study of a patient by C-STORE, of the same picture as ``like``; returns its UID."""

    def send(name: str, like: DemoImage = images[0]) -> str:
        dataset = dcmread(like.path)
        dataset.PatientName = name
        dataset.StudyInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = tmp_path / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(path)
        assert stage.send(path)
        return str(dataset.StudyInstanceUID)

    return send


def test_a_study_that_arrives_appears_by_itself(page: Page, arrives: Sender) -> None:
    """With its name as text, whatever stands in it; nothing of it becomes an element or runs."""
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    uid = arrives(MARKUP)
    expect(page.locator(f'a[data-row][id="study-{uid}"]')).to_contain_text("<b>DOE</b>", timeout=SOON_MS)
    expect(page.locator(f'li.study[id="row-{uid}"] .decision')).to_be_visible(timeout=SOON_MS)
    assert page.locator("main script, main .patient-name b").count() == 0


def test_what_a_person_does_to_the_page_stays(page: Page, arrives: Sender) -> None:
    """Words half typed, the focus, what is selected and scrolled to; and what has not changed is not made anew."""
    field = page.get_by_label("Search")
    field.press_sequentially("half a na")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Scanner").select_option(index=1)
    field.focus()
    field.evaluate("field => { field.setSelectionRange(2, 4); }")
    marked = page.locator(".study").last
    marked.evaluate("row => { row.marked = true; window.scrollTo(0, 120); }")
    marked_id = marked.get_attribute("id")
    uid = arrives("NEW^ONE")
    expect(page.locator(f'li.study[id="row-{uid}"]')).to_be_visible(timeout=SOON_MS)
    expect(field).to_have_value("half a na")
    expect(field).to_be_focused()
    assert field.evaluate("field => [field.selectionStart, field.selectionEnd]") == [2, 4]
    assert page.get_by_label("Scanner").evaluate("select => select.selectedIndex") == 1
    assert page.locator(f'[id="{marked_id}"]').evaluate("row => row.marked === true")
    assert page.evaluate("window.scrollY") > 0


def test_an_open_part_stays_open(page: Page, arrives: Sender) -> None:
    """On the study's own page, while other studies come."""
    page.locator("a[data-row]").first.click()
    page.locator("#instances summary").click()
    shown = page.locator("main").get_attribute("data-digest")
    with page.expect_response(lambda answer: "/fragments/" in answer.url, timeout=SOON_MS):
        arrives("ANOTHER^ONE")
    assert shown
    expect(page.locator("#instances")).to_have_attribute("open", "")


def test_a_hidden_tab_fetches_nothing_until_it_is_looked_at(page: Page, arrives: Sender) -> None:
    """Neither pages nor the stream; then it catches up at once."""
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    turn = "hidden => { Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });"
    turn += " document.dispatchEvent(new Event('visibilitychange')); }"
    other = page.context.new_page()
    other.goto("/")
    page.evaluate(turn, True)
    page.on("request", note)
    uid = arrives("UNSEEN^YET")
    expect(other.locator(f'li.study[id="row-{uid}"]')).to_be_visible(timeout=SOON_MS)
    assert asked == []
    assert page.locator(f'[id="study-{uid}"]').count() == 0
    page.evaluate(turn, False)
    expect(page.locator(f'li.study[id="row-{uid}"]')).to_be_visible(timeout=SOON_MS)
    expect(page.locator("#stale")).to_be_hidden()


def test_a_box_that_restarts_is_stale_and_comes_back_by_itself(page: Page, stage: Stage, arrives: Sender) -> None:
    """Nobody reloads; what was typed is still there, and what came since is shown."""
    page.get_by_label("Search").fill("still here")
    stage.stop("serve")
    expect(page.locator("#stale")).to_contain_text("Stale since", timeout=SOON_MS)
    stage.start("serve")
    stage.wait(lambda: listening(stage.dicom_port) and listening(stage.page_port), 60.0, "the box to listen")
    expect(page.locator("#stale")).to_be_hidden(timeout=SOON_MS)
    expect(page.get_by_label("Search")).to_have_value("still here")
    uid = arrives("AFTER^RESTART")
    expect(page.locator(f'li.study[id="row-{uid}"]')).to_be_visible(timeout=SOON_MS)
