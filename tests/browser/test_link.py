"""The link and the outbox in a real browser."""

from __future__ import annotations

import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from appliance.demo.stage import Stage
from appliance.demo.studies import DemoImage
from store_forward.database import reading, writing
from tests.browser.test_live import SOON_MS, Sender, arrives

__all__ = ["arrives"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

MANY = 3000
FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO deliveries (key, subject, revision, kind, destination, priority, payload, size_bytes, content_type,
  attributes, state, attempts, failures, next_at, cause, detail, created_at, settled_at)
SELECT 'parked ' || n, '1.2', 1, 'report', 'old-archive', 2, hex(randomblob(32)), 1000, 'a/b', '{}', 'parked', 1, 1,
  :now, 'pacs_refused', '<i>0xA900</i> number ' || n, :now + n, :now FROM numbers
"""


def states(stage: Stage, destination: str) -> dict[str, int]:
    """How many deliveries to a destination stand in each state."""
    query = text("SELECT state, count(*) FROM deliveries WHERE destination = :name GROUP BY state")
    with reading(stage.engine) as connection:
        return {state: number for state, number in connection.execute(query, {"name": destination})}


def test_a_lane_tells_speed_and_what_was_delivered(page: Page) -> None:
    """Measured on what the stage has just sent."""
    page.goto("/link")
    cloud = page.locator("#lane-cloud")
    expect(cloud.get_by_text("connected")).to_be_visible()
    expect(cloud.get_by_text("per second")).to_contain_text("last hour")
    expect(cloud.locator("#day-cloud rect")).not_to_have_count(0)
    expect(cloud.get_by_text("nothing waits")).to_be_visible()


def test_one_is_set_aside_and_sent_after_all(
    page: Page, stage: Stage, images: list[DemoImage], arrives: Sender
) -> None:
    """While the link is cut; the page follows by itself, and the far side gets it once the link is back."""
    before = states(stage, "cloud")["delivered"]
    page.goto("/link")
    stage.link.cut()
    escalated = {row.study_instance_uid for row in stage.rows() if row.escalated}
    unsure = next(image for image in images if image.study_instance_uid in escalated)
    for _ in range(2):
        arrives("SET^ASIDE", unsure)
    cloud = page.locator("#lane-cloud")
    expect(cloud.get_by_text("no connection")).to_be_visible(timeout=SOON_MS)
    cloud.locator("summary").click()
    cloud.get_by_role("button", name="Set aside").first.click()
    expect(page.get_by_role("status").get_by_text("1 delivery was set aside.")).to_be_visible()
    expect(page.get_by_role("heading", name="cloud: Parked by person")).to_be_visible()
    page.get_by_role("button", name="Retry this one").click()
    expect(page.get_by_text("1 delivery is due now.")).to_be_visible()
    expect(page.get_by_role("heading", name="cloud: Parked by person")).to_be_hidden()
    stage.link.restore()
    expect(cloud.get_by_text("nothing waits")).to_be_visible(timeout=SOON_MS)
    assert states(stage, "cloud")["delivered"] > before


def test_thousands_that_are_parked_are_a_few_lines_and_one_press(page: Page, stage: Stage) -> None:
    """With the newest words of the far side, as text."""
    with writing(stage.engine) as connection:
        connection.execute(text(FILL), {"rows": MANY, "now": time.time() - 86_400})
    page.goto("/link")
    group = page.locator("#parked-old-archive-pacs_refused")
    expect(group.get_by_text(f"“<i>0xA900</i> number {MANY}”")).to_be_visible()
    expect(group.locator("li")).to_have_count(4)
    group.get_by_role("button", name="Retry #", exact=False).first.press("Enter")
    expect(page.get_by_text("1 delivery is due now.")).to_be_visible()
    group.get_by_role("button", name="Retry all 2,999").click()
    expect(page.get_by_text("2999 deliveries are due now.")).to_be_visible()
    expect(group).to_have_count(0)
    assert states(stage, "old-archive") == {"waiting": MANY}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/?show=urgent&order=arrival", "/link"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(
    browser: Browser, address: str, images: list[DemoImage], path: str, scheme: str, width: int
) -> None:
    """On both pages, light and dark, wide and narrow."""
    assert images
    context = browser.new_context(
        viewport={"width": width, "height": 900}, base_url=address, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.goto(path)
    found = Axe().run(page)
    context.close()
    assert found.violations_count == 0, found.generate_report()
