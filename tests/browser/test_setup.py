"""Set-up in a real browser: a test of an archive, the rules' dry run, settings found, and a box in safe mode."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from appliance.demo.stage import Stage, free_port, listening
from appliance.demo.studies import DemoImage
from tests.started_box import eventually, started_box

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def accessible(page: Page) -> None:
    """No violation that axe-core knows of."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_an_archive_is_tested_from_the_keyboard(page: Page, stage: Stage) -> None:
    """The button answers at once, and the outcome comes without anybody reloading."""
    page.get_by_role("link", name="Set-up", exact=True).click()
    expect(page.get_by_text("Never tested.").first).to_be_visible()
    page.get_by_role("button", name="Test archive").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"ARCHIVE at 127.0.0.1:{stage.archive.port} answered the C-ECHO")).to_be_visible(
        timeout=30_000
    )
    accessible(page)


def test_the_cloud_is_tested_while_the_link_is_cut(page: Page, stage: Stage) -> None:
    """What failed, and what to do about it."""
    stage.link.cut()
    try:
        page.goto("/setup")
        page.get_by_role("button", name="Test cloud").click()
        expect(page.get_by_text("cloud_unreachable").first).to_be_visible(timeout=60_000)
        expect(page.get_by_text("What to do:").first).to_be_visible()
    finally:
        stage.link.restore()


def test_the_rules_are_tried_on_a_file(page: Page, images: list[DemoImage]) -> None:
    """Without any rule it is read, and results go everywhere."""
    page.goto("/setup/rules")
    page.get_by_label("A DICOM file").set_input_files(str(images[0].path))
    page.get_by_role("button", name="Try the rules").click()
    expect(page.get_by_text("every archive").last).to_be_visible(timeout=60_000)
    accessible(page)


def test_a_setting_is_found(page: Page) -> None:
    """By words, with where it comes from; on a phone nothing runs out of the page."""
    page.goto("/setup/configuration")
    page.get_by_label("Search settings").fill("dicom.port")
    page.get_by_role("button", name="Search").click()
    row = page.get_by_role("row").filter(has_text="dicom.port")
    expect(row).to_contain_text("11112")
    expect(row).to_contain_text("file")
    accessible(page)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_safe_mode_until_the_file_is_mended(browser: Browser, tmp_path: Path) -> None:
    """The open page says what is wrong, and becomes the worklist by itself."""
    port, config = free_port(), tmp_path / "scanside.toml"
    good = f'home = "{tmp_path / "box"}"\n[page]\nport = {port}\n[dicom]\nport = {free_port()}\n'
    config.write_text(f"{good}prot = 3\n")
    with started_box(config):
        eventually(lambda: listening(port), "the page of safe mode")
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        expect(page.get_by_role("heading", name="Safe mode")).to_be_visible()
        expect(page.get_by_text("dicom.prot")).to_be_visible()
        accessible(page)
        config.write_text(good)
        expect(page.get_by_text("No study yet.")).to_be_visible(timeout=90_000)
        page.close()
