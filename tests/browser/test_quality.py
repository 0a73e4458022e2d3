"""The page on quality in a real browser, over a box that has read the demonstration's studies."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from appliance.demo.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def test_what_the_box_has_decided_is_counted(page: Page, stage: Stage) -> None:
    """The numbers behind the plot are those of the database, and the drawing says them to a screen reader."""
    read = [row for row in stage.rows() if row.pack and row.decision in ("routine", "urgent", "escalate")]
    settled = [row for row in read if row.decision != "escalate"]
    page.get_by_role("link", name="Quality", exact=True).click()
    drawing = page.get_by_role("img", name="Settled on the box")
    expect(drawing).to_be_visible()
    assert drawing.get_attribute("aria-labelledby") == "settled-title settled-desc"
    page.locator("#settled-numbers summary").click()
    numbers = page.locator("#settled-numbers td.number")
    expect(numbers.nth(0)).to_have_text(str(len(read)))
    expect(numbers.nth(1)).to_have_text(str(len(settled)))


def test_it_is_chosen_and_read_with_the_keyboard_alone(page: Page) -> None:
    """Scanner and time by the form, without any script's help; what was folded out stays so when the state changes."""
    page.goto("/quality")
    page.locator("#choose-by").focus()
    page.keyboard.press("w")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quality?*by=week*")
    expect(page.locator("#choose-by")).to_have_value("week")
    page.locator("#settled-numbers summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#settled-numbers table")).to_be_visible()


def test_nobody_needs_the_drawing(page: Page) -> None:
    """Each has its name, its description and its table, and the promise is said in words, too."""
    page.goto("/quality")
    for drawing in page.locator("svg.drawing").all():
        ids = (drawing.get_attribute("aria-labelledby") or "").split()
        assert len(ids) == 2
        assert all(page.locator(f"[id='{one}']").text_content() for one in ids)
    assert page.locator("svg.drawing").count() == page.locator(".plot details").count()
    expect(page.get_by_text("too few to say").first).to_be_visible()
