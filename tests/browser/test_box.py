"""The page of the box in a real browser, with the real daemon behind it."""

from __future__ import annotations

import json
import re
import urllib.request

import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from appliance.demo.stage import Stage
from appliance.schema import processes
from store_forward.database import reading

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def test_the_box_tells_of_itself(page: Page) -> None:
    """Devices with their use, processes with what they take, clock and versions: all as the running box has it."""
    page.get_by_role("link", name="Box", exact=True).click()
    packs = page.get_by_role("region", name="Packs and devices")
    expect(packs.get_by_text("chosen: the fastest that is right").first).to_be_visible()
    expect(packs.get_by_text("its golden set came out right on").first).to_be_visible()
    expect(packs.get_by_text("reads here since").first).to_be_visible()
    expect(page.get_by_role("region", name="What the devices can do").get_by_text("openvino:CPU")).to_be_visible()
    processes = page.get_by_role("region", name="Processes")
    for name in ("receiver", "triage", "uplink", "web"):
        row = processes.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
        expect(row).to_contain_text(re.compile(r"\d MB"))
    expect(page.get_by_role("region", name="Versions").get_by_text("Python")).to_be_visible()
    expect(page.get_by_role("region", name="Clock").get_by_text("Kept by a time service")).to_be_visible()


def test_a_card_is_read_by_keyboard_and_left_again(page: Page) -> None:
    """From the pack's name to its card and back."""
    page.goto("/box")
    link = page.get_by_role("link", name="cxr-pneumonia-paediatric")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Population and data")).to_be_visible()
    page.get_by_role("link", name="Back to the box").press("Enter")
    expect(page).to_have_url(re.compile("/box$"))


@pytest.mark.parametrize("path", ["/box", "/packs/brain-mr-tumour/card"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, address: str, path: str, scheme: str) -> None:
    """WCAG 2.2 AA as far as a program can tell, in both schemes."""
    context = browser.new_context(base_url=address, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(path)
    found = Axe().run(page).response["violations"]
    context.close()
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, address: str) -> None:
    """390 px wide, and from right to left."""
    for language in ("en", "ar"):
        context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=address)
        context.add_cookies([{"name": "scanside_language", "value": language, "url": address}])
        page = context.new_page()
        page.goto("/box")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, language
        context.close()


def test_machines_find_the_same_box(stage: Stage, address: str) -> None:
    """Ready, scraped, and listed over the API: what was sent is there."""

    def get(path: str) -> str:
        with urllib.request.urlopen(f"{address}{path}", timeout=20) as answer:
            return str(answer.read().decode())

    ready = json.loads(get("/readyz"))
    assert ready["status"] == "ready"
    studies = json.loads(get("/api/v1/studies?limit=200"))["studies"]
    assert len(studies) == len(stage.rows())
    assert f'scanside_studies{{state="settled"}} {len(studies)}.0' in get("/metrics")


def test_the_page_gives_way_to_reception(stage: Stage) -> None:
    """The process of the page runs at a lower priority than the receiver's."""
    with reading(stage.engine) as conn:
        nice = {row.name: psutil.Process(row.pid).nice() for row in conn.execute(select(processes))}
    assert nice["web"] == min(nice["receiver"] + 5, 19)
