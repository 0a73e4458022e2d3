"""The worklist in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from appliance.demo.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def test_the_link_is_cut_and_restored_while_the_page_is_open(page: Page, stage: Stage) -> None:
    """It is said without anybody reloading, and taken back when the link is."""
    page.get_by_role("link", name="Link", exact=True).click()
    expect(page.get_by_text("connected").first).to_be_visible()
    stage.link.cut()
    expect(page.get_by_text("cloud has been unreachable")).to_be_visible(timeout=60_000)
    stage.link.restore()
    expect(page.get_by_text("cloud has been unreachable")).to_be_hidden(timeout=60_000)
