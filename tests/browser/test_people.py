"""Users of the page in a real browser: what each role sees, and how sessions begin and end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from appliance.demo.stage import Stage
from appliance.people.roles import Role
from appliance.people.users import lock_user, unlock_user
from store_forward.database import writing
from tests.signed_in import PASSWORD, put_user

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

#: Who is on this box, and whether patients' names are shown to them.
PEOPLE = {"anna": (Role.ADMINISTRATOR, True), "ben": (Role.VIEWER, False), "carla": (Role.OPERATOR, True)}


@pytest.fixture(scope="module", autouse=True)
def people(stage: Stage) -> None:
    """From here on everybody has to sign in."""
    for name, (role, names) in PEOPLE.items():
        put_user(stage.engine, name, role, names=names)


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """As a person does, with the keyboard alone."""
    page.goto("/sign-in")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


@pytest.fixture
def second(browser: Browser, address: str) -> Iterator[Page]:
    """Another browser."""
    context = browser.new_context(base_url=address)
    yield context.new_page()
    context.close()


def everything_shown(page: Page, stage: Stage) -> str:
    """Every page of the box as text: the worklist, each study, their fragments and titles, and what programs get."""
    uids = [row.study_instance_uid for row in stage.rows()]
    places = ["/", "/?order=arrival", "/link", "/box", *(f"/studies/{uid}" for uid in uids)]
    shown = []
    for place in places:
        page.goto(place)
        shown += [page.title(), page.content()]
    fragments = [f"/fragments{place}" for place in places]
    return "\n".join([*shown, *(page.request.get(path).text() for path in (*fragments, "/api/status"))])


def test_two_roles_see_different_things(page: Page, second: Page, stage: Stage) -> None:
    """A viewer without names sees none anywhere and can change nothing; an administrator sees and can."""
    private = {value for row in stage.rows() for value in (row.patient_name, row.patient_id) if value}
    names = {part for value in private for part in value.split("^") if len(part) > 3}
    assert names
    sign_in(page, "ben")
    expect(page.get_by_role("link", name="ben")).to_be_visible()
    seen = everything_shown(page, stage)
    assert not [name for name in names if name.lower() in seen.lower()]
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    assert page.goto("/users").status == 403  # type: ignore[union-attr]
    token = page.locator('meta[name="form-token"]').get_attribute("content") or ""
    headers = {"Origin": page.url.split("/users")[0], "X-Scanside-Form": token}
    wish: dict[str, str | float | bool] = {"name": "evil", "password": PASSWORD, "role": "administrator"}
    assert page.request.post("/users/add", form=wish, headers=headers).status == 403
    sign_in(second, "anna")
    expect(second.get_by_role("link", name="anna")).to_be_visible()
    seen = everything_shown(second, stage)
    assert [name for name in names if name.lower() in seen.lower()]


def test_an_administrator_adds_a_user_who_then_signs_in(page: Page, second: Page) -> None:
    """By the form of the page."""
    sign_in(page, "anna")
    page.get_by_role("link", name="Users").click()
    form = page.locator('form[action="/users/add"]')
    form.get_by_label("Name", exact=True).fill("Dora")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_label("Role").select_option("operator")
    form.get_by_role("button").click()
    expect(page.get_by_text("The user is added.")).to_be_visible()
    expect(page.get_by_role("heading", name="dora")).to_be_visible()
    sign_in(second, "dora", "wrong password")
    expect(second.get_by_role("alert")).to_contain_text("Name or password is wrong.")
    second.get_by_label("Password").fill(PASSWORD)
    second.keyboard.press("Enter")
    expect(second.get_by_role("link", name="dora")).to_be_visible()


def test_the_open_page_asks_to_sign_in_when_the_session_ends(page: Page, stage: Stage) -> None:
    """By itself, and it comes back to where it was."""
    sign_in(page, "carla")
    expect(page.get_by_role("link", name="carla")).to_be_visible()
    page.goto("/box")
    with writing(stage.engine) as connection:
        lock_user(connection, "carla", "", 0.0)
    expect(page.get_by_label("Password")).to_be_visible(timeout=30_000)
    with writing(stage.engine) as connection:
        unlock_user(connection, "carla", "", 0.0)
    page.get_by_label("Name").fill("carla")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Storage")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Password")).to_be_visible()


def test_whoever_looks_chooses_the_language(page: Page) -> None:
    """Before and after sign-in; Arabic is read from right to left."""
    page.locator("select#language").select_option("ar")
    page.locator("form.language button").click()
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    page.locator('input[name="name"]').fill("ben")
    page.locator('input[name="password"]').fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="ben")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ar")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_pages_can_be_used_by_everybody(page: Page, scheme: str, width: int) -> None:
    """axe finds nothing, in both schemes and on a phone, where nothing is cut off at the side."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for place in ("/sign-in", "/users", "/account"):
        if place == "/users":
            sign_in(page, "anna")
            expect(page.get_by_role("link", name="anna")).to_be_visible()
        page.goto(place)
        for summary in page.locator("main summary").all():
            summary.click()
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), place
