"""The worklist in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from appliance.demo.stage import Stage
from store_forward.database import writing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

MANY = 10_000
FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO studies (study_instance_uid, state, revision, images_digest, completes_at, calling_ae_title, patient_id,
  patient_name, patient_age, accession_number, study_date, study_description, modalities, instance_count, size_bytes,
  first_received_at, last_received_at, triage_attempts, decision, escalated)
SELECT '1.2.826.0.' || n, 'settled', 1, '', :now, 'ROOM' || (n % 7), 'P' || n, 'FAMILY' || n || '^GIVEN', '004Y',
  'A' || n, '20261121', 'FOOT', 'CR', 1, 1000, :now - n * 60.0, :now - n * 60.0, 1,
  CASE WHEN n % 10 = 1 THEN 'not_triaged' ELSE 'routine' END, 0
FROM numbers
"""


@pytest.fixture(scope="module")
def many(stage: Stage) -> Stage:
    """The stage's studies and 10,000 older ones."""
    with writing(stage.engine) as connection:
        connection.execute(text(FILL), {"rows": MANY, "now": time.time() - 86_400})
    return stage


@pytest.fixture
def phone(browser: Browser, address: str) -> Iterator[Page]:
    """A telephone at the worklist."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=address, is_mobile=True)
    page = context.new_page()
    page.goto("/")
    yield page
    context.close()


def test_the_link_is_cut_and_restored_while_the_page_is_open(page: Page, stage: Stage) -> None:
    """It is said without anybody reloading, and taken back when the link is."""
    page.get_by_role("link", name="Link", exact=True).click()
    expect(page.get_by_text("connected").first).to_be_visible()
    stage.link.cut()
    expect(page.get_by_text("cloud has been unreachable")).to_be_visible(timeout=60_000)
    stage.link.restore()
    expect(page.get_by_text("cloud has been unreachable")).to_be_hidden(timeout=60_000)


def test_ten_thousand_studies_are_paged_to_the_last(page: Page, many: Stage) -> None:
    """Forward, to the end, back, and by arrival; every page comes while one looks."""
    page.reload()
    expect(page.locator("#show-all b")).to_contain_text("10,0")
    first = page.locator(".study h4").first.inner_text()
    page.locator("#page-on").click()
    expect(page.locator("#page-back")).to_be_visible()
    began = time.monotonic()
    page.locator("#page-last").click()
    expect(page.get_by_text(f"FAMILY{MANY}, GIVEN")).to_be_visible()
    assert time.monotonic() - began < 5.0
    expect(page.locator("#page-on")).to_have_count(0)
    page.locator("#page-back").click()
    expect(page.locator("#page-on")).to_be_visible()
    page.locator("#page-first").click()
    expect(page.locator(".study h4").first).to_have_text(first)
    page.locator("#order-arrival").click()
    page.locator("#page-last").click()
    expect(page.locator(".study h4").last).to_contain_text(f"FAMILY{MANY}, GIVEN")


def test_the_list_is_narrowed_and_the_address_remembers_it(page: Page, many: Stage) -> None:
    """By words and a filter; a reload shows the same, and one press shows all again."""
    assert many
    page.get_by_label("Search").fill("given family7_7%")
    page.get_by_label("Search").press("Enter")
    expect(page.get_by_text("No study fits.")).to_be_visible()
    page.get_by_label("Search").fill("given fAmily77")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Scanner").select_option("ROOM0")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(r"search=given\+fAmily77&.*scanner=ROOM0"))
    names = page.locator(".study h4")
    expect(names.first).to_contain_text("FAMILY77")
    for name in names.all_inner_texts():
        assert re.match(r"FAMILY77\d*, GIVEN", name)
    page.reload()
    expect(page.get_by_label("Search")).to_have_value("given fAmily77")
    expect(page.get_by_label("Scanner")).to_have_value("ROOM0")
    page.get_by_text("Show all again").click()
    expect(page.locator("#show-all b")).to_be_visible()


def test_the_keyboard_alone_is_enough(page: Page, many: Stage) -> None:
    """Move, open, search, turn the page, ask for help; and single keys can be switched off."""
    assert many
    chosen = page.locator("a[data-row]:focus")
    page.keyboard.press("j")
    first = chosen.get_attribute("id")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    assert chosen.get_attribute("id") != first
    page.keyboard.press("k")
    page.keyboard.press("ArrowUp")
    assert chosen.get_attribute("id") == first
    page.keyboard.press("n")
    expect(page.locator("#page-back")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator("#page-back")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("j?n")
    expect(page.get_by_label("Search")).to_have_value("j?n")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.locator("#keys-open").press("Enter")
    page.get_by_label("Single keys do this in this browser").uncheck()
    page.get_by_role("button", name="Close").press("Enter")
    page.reload()
    page.keyboard.press("j")
    expect(chosen).to_have_count(0)
    page.locator("#keys-open").press("Enter")
    page.get_by_label("Single keys do this in this browser").check()
    page.get_by_role("button", name="Close").press("Enter")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/studies/"))


def test_tab_reaches_all_that_single_keys_do(page: Page, many: Stage) -> None:
    """Search, filters, studies, the next page and the list of keys are in the order of Tab."""
    assert many
    wanted = {"search", "narrow-modality", "narrow-show", "show-urgent", "page-on", "page-last", "keys-open"}
    page.get_by_text("Filters", exact=True).click()
    page.locator(".skip").focus()
    seen: set[str] = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
        if "keys-open" in seen:
            break
    assert wanted <= seen
    assert sum(one.startswith("study-") for one in seen) == page.locator("a[data-row]").count()


def test_a_phone_shows_the_worklist(phone: Page, many: Stage) -> None:
    """Nothing is cut off at the side, and a study opens."""
    assert many
    expect(phone.locator(".decision.urgent").first).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.locator("a[data-row]").first.click()
    expect(phone).to_have_url(re.compile("/studies/"))
