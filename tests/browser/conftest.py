"""A real box with its cloud and PACS behind the page, and Debian's Chromium before it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from appliance.demo.stage import Stage
from appliance.demo.studies import DemoImage, synthetic_studies

SETTLES_S = 240.0


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as Debian ships it. Missing, it is a failure: run ``make interop``."""
    program = shutil.which("chromium")
    assert program is not None, "Debian's chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[DemoImage]:
    """The demonstration's images: of every decision, escalated ones, and some that no pack reads."""
    return list(synthetic_studies(tmp_path_factory.mktemp("images")))


@pytest.fixture(scope="module")
def stage(images: list[DemoImage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Daemon, cloud, PACS and a link that can be cut; every study sent by C-STORE and settled."""
    with Stage(tmp_path_factory.mktemp("stage")) as stage:
        for image in images:
            assert stage.send(image.path)
        stage.wait(lambda: stage.states() == {"settled": len(images)}, SETTLES_S, "every study to settle")
        yield stage


@pytest.fixture
def address(stage: Stage) -> str:
    """Where the page is."""
    return f"http://127.0.0.1:{stage.page_port}"


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A browser's page of 1280 × 900 px at the worklist; any error in its script or console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=address)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto("/")
    yield page
    context.close()
    assert troubles == []
