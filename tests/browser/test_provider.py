"""Signing in at an OpenID provider on another site, in a real browser: what its cookies do only that shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from appliance.configuration import load_settings
from appliance.demo.stage import free_port
from appliance.home import open_home
from appliance.people.roles import Role
from tests.openid_provider import CLIENT, SECRET, openid_provider
from tests.signed_in import put_user
from tests.started_box import answers, eventually, started_box

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_there_and_back(browser: Browser, tmp_path: Path) -> None:
    """From the page that was asked for to that page; signed out and in again; and without a role."""
    port, config = free_port(), tmp_path / "scanside.toml"
    with openid_provider("localhost") as provider:
        config.write_text(
            f'home = "{tmp_path / "box"}"\n[dicom]\nport = {free_port()}\n[page]\nport = {port}\n'
            f'[oidc]\nissuer = "{provider.issuer}"\nclient_id = "{CLIENT}"\nname = "St. Example"\n'
            'viewer = ["radiology"]\n'
        )
        with started_box(config, SCANSIDE_OIDC_SECRET=SECRET):
            eventually(lambda: bool(answers(port)), "the page")
            home = open_home(load_settings(config))
            put_user(home.engine, "anna", Role.ADMINISTRATOR)
            home.engine.dispose()
            context = browser.new_context(base_url=f"http://127.0.0.1:{port}")
            page = context.new_page()
            page.goto("/link")
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            assert Axe().run(page).response["violations"] == []
            page.get_by_role("link", name="Sign in with St. Example").click()
            expect(page).to_have_url(f"http://127.0.0.1:{port}/link")
            expect(page.get_by_role("link", name="zoë@ward")).to_be_visible()
            kept = {one["name"]: one["sameSite"] for one in context.cookies()}
            assert kept == {"scanside_session": "Strict", "scanside_visitor": "Strict"}
            page.goto("/account")
            expect(page.get_by_label("Present password")).to_have_count(0)
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            page.get_by_role("link", name="Sign in with St. Example").click()
            expect(page.get_by_role("link", name="zoë@ward")).to_be_visible()
            context.clear_cookies()
            provider.claims["groups"] = ["cleaning"]
            page.goto("/sign-in")
            page.get_by_role("link", name="Sign in with St. Example").click()
            expect(page.get_by_role("alert")).to_contain_text("St. Example did not confirm that you may use this box")
            context.close()
