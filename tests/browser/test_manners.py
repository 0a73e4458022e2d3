"""Every page, whoever reads it and however: WCAG 2.2 AA, keyboard, right to left, paper, phone, dark, first paint.

Chromium alone is here; nothing of this was tried in Firefox or WebKit.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from appliance.demo.stage import Stage
from appliance.web.language import COOKIE, LANGUAGES
from appliance.web.site import PLACES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
#: A person sees the page within a second of asking for it.
FIRST_PAINT_MS = 1000.0
#: More stops than any page has; whoever tabs on after that is in a trap.
MOST_STOPS = 400


@contextmanager
def opened(browser: Browser, address: str, language: str = "en", **how: Any) -> Iterator[Page]:
    """A browser's page with another width, scheme or language."""
    context = browser.new_context(**({"viewport": WIDE, "base_url": address} | how))
    context.add_cookies([{"name": COOKIE, "value": language, "url": address}])
    yield context.new_page()
    context.close()


@pytest.fixture
def paths(stage: Stage) -> list[str]:
    """Every place, a study of every decision and one that does not exist."""
    by_decision = {str(row.decision): f"/studies/{row.study_instance_uid}" for row in stage.rows()}
    return [*(path for path, _, _ in PLACES), *by_decision.values(), "/studies/1.2.3"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing(
    browser: Browser, address: str, paths: list[str], scheme: Any, viewport: dict[str, int]
) -> None:
    """WCAG 2.2 A and AA and axe-core's best practice, with all that can be folded out."""
    found = []
    with opened(browser, address, viewport=viewport, color_scheme=scheme) as page:
        for path in paths:
            page.goto(path)
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            for one in Axe().run(page, options=RULES).response["violations"]:
                found += [(path, one["id"], node["target"], node["failureSummary"]) for node in one["nodes"]]
    assert found == []


def test_axe_would_find_something(browser: Browser, address: str) -> None:
    """The rules are awake: grey on grey, a picture without words, a page without a language."""
    with opened(browser, address) as page:
        page.set_content("<p style='color: #999; background: #aaa'>grey</p><img src='x.png'><input>")
        found = {one["id"] for one in Axe().run(page, options=RULES).response["violations"]}
    assert {"color-contrast", "image-alt", "label", "html-has-lang"} <= found


def test_a_keyboard_reaches_everything_and_leaves_again(browser: Browser, address: str, paths: list[str]) -> None:
    """The skip link first, then every control in the order of the page, each with a visible mark, and out.

    The state stands still meanwhile, so that what is counted is what is walked through.
    """
    with opened(browser, address) as page:
        page.route("**/events", lambda route: route.abort())
        for path in paths:
            page.goto(path)
            page.wait_for_selector("#viewer[data-images]:not([data-ready])", state="detached")
            wanted = page.evaluate(_STOPS)
            stops = _tab_through(page)
            assert stops[0]["skip"], path
            assert [one["number"] for one in stops] == wanted, path
            assert [one["text"] for one in stops if not one["marked"]] == [], path


def test_the_skip_link_leads_past_the_head_of_the_page(browser: Browser, address: str, paths: list[str]) -> None:
    """The next stop after it lies in the main part, and it is seen while it has the focus."""
    with opened(browser, address) as page:
        for path in paths:
            page.goto(path)
            page.keyboard.press("Tab")
            skip = page.locator(":focus")
            box = skip.bounding_box()
            assert box is not None, path
            assert box["height"] >= 24, path
            page.keyboard.press("Enter")
            expect(page.locator("main")).to_be_focused()


#: The controls a keyboard should stop at, by their place in the document; closed details hide theirs.
_STOPS = """() => {
  const all = Array.from(document.querySelectorAll('*'));
  const controls = 'a[href], button, input, select, textarea, summary, [tabindex]';
  return Array.from(document.querySelectorAll(controls))
    .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true })
      && !one.closest('details:not([open]) > :not(summary)'))
    .filter((one) => one.type !== 'radio' || one.checked || !document.querySelector(`[name="${one.name}"]:checked`))
    .map((one) => all.indexOf(one));
}"""
_STOP = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  const marked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return { number: Array.from(document.querySelectorAll('*')).indexOf(one), marked,
           skip: one.classList.contains('skip'), text: one.outerHTML.slice(0, 120) };
}"""


def _tab_through(page: Page) -> list[dict[str, Any]]:
    stops: list[dict[str, Any]] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(_STOP)
        if stop is None or (stops and stop["number"] == stops[0]["number"]):
            return stops
        stops.append(stop)
    raise AssertionError(f"{page.url}: the keyboard does not get out of {stops[-1]['text']}")


@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_is_wider_than_the_screen(
    browser: Browser, address: str, paths: list[str], language: str, viewport: dict[str, int]
) -> None:
    """In any language, in either direction of writing; what is wide scrolls by itself."""
    with opened(browser, address, language, viewport=viewport) as page:
        for path in paths:
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path


def test_arabic_is_mirrored_and_codes_are_not(browser: Browser, address: str, paths: list[str]) -> None:
    """The brand stands at the right, UIDs and moments run from left to right."""
    with opened(browser, address, "ar") as page:
        for path in paths:
            page.goto(path)
            assert page.locator("html").get_attribute("dir") == "rtl"
            brand = page.locator(".brand").bounding_box()
            assert brand is not None
            assert brand["x"] > WIDE["width"] / 2, path
            latin = page.locator("code, time").evaluate_all(
                "(all) => all.filter((one) => getComputedStyle(one).direction !== 'ltr').map((one) => one.outerHTML)"
            )
            assert latin == [], path


def test_a_phone_shows_decision_and_finding_first(browser: Browser, address: str, stage: Stage) -> None:
    """On the first screen stands an urgent study with its decision; the decision above all else of its card."""
    with opened(browser, address, viewport=PHONE) as page:
        page.goto("/")
        decision = page.locator("main .decision.urgent").first
        expect(decision).to_be_in_viewport()
        tops = decision.evaluate(
            """(one) => { const card = one.closest('article, tr, li');
              const top = (other) => other.getBoundingClientRect().top;
              return [one, ...card.querySelectorAll('h3, h4, p')].map(top); }"""
        )
        assert tops[0] <= min(tops[1:]) + 24


def test_a_study_on_paper_is_whole(browser: Browser, address: str, stage: Stage) -> None:
    """Product, box, time and the sentence on research use; no navigation, nothing to press, nothing folded away."""
    urgent = next(row for row in stage.rows() if row.decision == "urgent")
    with opened(browser, address, color_scheme="dark") as page:
        page.goto(f"/studies/{urgent.study_instance_uid}")
        page.emulate_media(media="print")
        for shown in (".brand", ".box-name", ".research", ".as-of", ".decision"):
            expect(page.locator(shown).first).to_be_visible()
        for hidden in ("nav", ".skip", "button", "form"):
            assert [one for one in page.locator(hidden).all() if one.is_visible()] == [], hidden
        folded = page.locator("details:not([open]):not(.viewer-keys) > :not(summary)")
        assert [one.inner_text() for one in folded.all() if not one.is_visible()] == []
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        paper = page.pdf(format="A4", prefer_css_page_size=True)
    assert paper.startswith(b"%PDF-")


def test_the_dark_page_is_dark_before_anything_is_loaded(browser: Browser, address: str) -> None:
    """A reading room gets no white flash: the browser is told by the document itself, the style sheet follows."""
    with opened(browser, address, color_scheme="dark") as page:
        page.route("**/static/**", lambda route: route.abort())
        page.goto("/")
        assert _brightness(page.screenshot()) < 0.2
        page.unroute_all()
        page.goto("/")
        assert _brightness(page.screenshot()) < 0.3


def _brightness(png: bytes) -> float:
    """The mean of all pixels, 0..1."""
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return float(picture.mean()) / 255


def test_whoever_wants_no_motion_gets_none(browser: Browser, address: str, paths: list[str]) -> None:
    """No transition and no animation of any element."""
    with opened(browser, address, reduced_motion="reduce") as page:
        for path in paths:
            page.goto(path)
            moving = page.evaluate(
                """() => Array.from(document.querySelectorAll('*')).filter((one) => {
                  const style = getComputedStyle(one);
                  return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0; }).length"""
            )
            assert moving == 0, path


def test_a_contrast_theme_keeps_what_colour_said(browser: Browser, address: str) -> None:
    """Where a system paints everything in its own colours, a decision still has its border, its shape and its word."""
    with opened(browser, address, forced_colors="active") as page:
        page.goto("/")
        decisions = page.locator("main .decision")
        expect(decisions.first).to_be_visible()
        for one in decisions.all():
            assert one.evaluate("(one) => parseFloat(getComputedStyle(one).borderTopWidth)") >= 1
            expect(one.locator("svg.shape")).to_be_visible()
            assert one.inner_text().strip()


def test_the_first_paint_comes_within_a_second(browser: Browser, address: str, paths: list[str]) -> None:
    """From the request on, with an empty cache; the median of five for each place."""
    slow = {}
    for path in paths:
        times = []
        for _ in range(5):
            with opened(browser, address) as page:
                page.goto(path)
                times.append(page.evaluate(_PAINTED))
        median = statistics.median(times)
        if median >= FIRST_PAINT_MS:
            slow[path] = times
    assert slow == {}


_PAINTED = """() => new Promise((told) => new PerformanceObserver((list) =>
  list.getEntries().forEach((one) => { if (one.name === 'first-contentful-paint') told(one.startTime); })
).observe({ type: 'paint', buffered: true }))"""
