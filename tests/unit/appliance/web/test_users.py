"""The users page: what an administrator can do there, and what it says."""

from __future__ import annotations

import re

import pytest
from httpx2 import Response
from sqlalchemy import select
from starlette.testclient import TestClient

from appliance.people.roles import Role
from appliance.people.tables import sessions
from appliance.people.tokens import who_shows
from appliance.people.users import all_users, recent_changes, user_named
from store_forward.database import reading
from tests.signed_in import ORIGIN, PASSWORD, put_session, put_user, sign_in
from tests.unit.appliance.web.rows import NOW, Rows
from tests.unit.appliance.web.test_app import Elements

NEW = "another horse battery"


@pytest.fixture
def anna(rows: Rows) -> TestClient:
    """The administrator's browser."""
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    return sign_in(rows.client(), put_session(rows.engine, "anna", NOW))


def send(client: TestClient, path: str, **fields: str) -> Response:
    """Send a form of the page."""
    return client.post(path, data=fields, headers=ORIGIN, follow_redirects=False)


def test_a_user_is_added_changed_locked_and_removed(rows: Rows, anna: TestClient) -> None:
    """Each with words on the page, and with who did it in the history."""
    steps = (
        ("/users/add", {"name": "Ben", "password": PASSWORD, "role": "viewer"}, "The user is added."),
        ("/users/role", {"name": "ben", "role": "operator", "names": "shown"}, "Role and names are changed."),
        ("/users/password", {"name": "ben", "password": NEW}, "The password is changed."),
        ("/users/lock", {"name": "ben"}, "The user is locked"),
        ("/users/unlock", {"name": "ben"}, "The user may sign in again."),
        ("/users/remove", {"name": "ben"}, "The user is removed."),
    )
    for path, fields, words in steps:
        answer = send(anna, path, **fields)
        assert answer.status_code == 303, path
        assert words in anna.get(answer.headers["location"]).text
    with reading(rows.engine) as conn:
        assert [one.name for one in all_users(conn)] == ["anna"]
        assert {one.by for one in recent_changes(conn)} == {"anna"}
        assert len(recent_changes(conn)) == len(steps)


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/users/add", {"name": "<b>", "password": PASSWORD}, "A name begins with"),
        ("/users/add", {"name": "anna", "password": PASSWORD}, "This name is taken."),
        ("/users/add", {"name": "ben", "password": "short"}, "12 characters or more"),
        ("/users/lock", {"name": "nobody"}, "There is no user of this name"),
        ("/users/remove", {"name": "anna"}, "This is the last administrator."),
        ("/users/role", {"name": "anna", "role": "viewer"}, "This is the last administrator."),
        ("/users/tokens/add", {"name": ""}, "A name begins with"),
        ("/users/tokens/remove", {"name": "x"}, "There is no token of this name"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    rows: Rows, anna: TestClient, path: str, fields: dict[str, str], words: str
) -> None:
    """On the page itself, with the repair."""
    answer = send(anna, path, **fields)
    assert (answer.status_code, words in answer.text) == (400, True)
    with reading(rows.engine) as conn:
        assert [one.name for one in all_users(conn)] == ["anna"]
        assert recent_changes(conn) == []


def test_rights_are_the_least_where_the_form_says_nothing(rows: Rows, anna: TestClient) -> None:
    """A role that there is not is no administrator."""
    send(anna, "/users/add", name="ben", password=PASSWORD, role="emperor")
    send(anna, "/users/tokens/add", name="t", scope="everything", days="forever")
    with reading(rows.engine) as conn:
        ben = user_named(conn, "ben")
    assert ben is not None
    assert (ben.role, ben.sees_patients) == (Role.VIEWER, False)


def test_a_token_is_shown_once(rows: Rows, anna: TestClient) -> None:
    """And opens what it is for until it is removed."""
    answer = send(anna, "/users/tokens/add", name="grafana", scope="studies", names="shown", days="90")
    found = re.search(r"<code>(scanside_[\w-]+)</code>", answer.text)
    assert found is not None
    page = anna.get("/users").text
    assert found[1] not in page
    assert "grafana" in page
    with reading(rows.engine) as conn:
        person = who_shows(conn, found[1], NOW)
        assert person is not None
        assert (person.role, person.sees_patients) == (Role.VIEWER, True)
        assert who_shows(conn, found[1], NOW + 90 * 86_400.0) is None
    send(anna, "/users/tokens/remove", name="grafana")
    with reading(rows.engine) as conn:
        assert who_shows(conn, found[1], NOW) is None


def test_the_first_user_on_this_machine_has_to_be_an_administrator(rows: Rows) -> None:
    """After that the page asks everybody to sign in."""
    client = rows.client()
    assert send(client, "/users/add", name="ben", password=PASSWORD, role="viewer").status_code == 400
    assert send(client, "/users/add", name="anna", password=PASSWORD, role="administrator").status_code == 303
    assert client.get("/", follow_redirects=False).headers["location"] == "/sign-in"


def test_the_pages_are_well_formed_and_reload_nobodys_typing(rows: Rows, anna: TestClient) -> None:
    """Unique ids, a token in each form, no refresh without script either."""
    send(anna, "/users/add", name="o'neill", password=PASSWORD)
    send(anna, "/users/tokens/add", name="t", scope="status")
    for path in ("/users", "/account"):
        html = anna.get(path).text
        found = Elements(html)
        ids = [value for name, value in found.attributes if name == "id"]
        assert len(ids) == len(set(ids))
        assert html.count('name="form_token"') == found.names.count("form")
        assert 'http-equiv="refresh"' not in html
    assert 'http-equiv="refresh"' not in rows.client().get("/sign-in").text


def test_ones_own_password_needs_the_present_one(rows: Rows, anna: TestClient) -> None:
    """Then every other session ends, and this browser goes on with a new one."""
    other = sign_in(rows.client(), put_session(rows.engine, "anna", NOW))
    before = anna.cookies["scanside_session"]
    wishes = (
        ("wrong", NEW, NEW, "The present password is wrong."),
        (PASSWORD, NEW, "typo", "not the same both times"),
        (PASSWORD, "short", "short", "12 characters or more"),
    )
    for present, new, again, words in wishes:
        answer = send(anna, "/account/password", password=present, new_password=new, again=again)
        assert (answer.status_code, words in answer.text) == (400, True)
    answer = send(anna, "/account/password", password=PASSWORD, new_password=NEW, again=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=password")
    assert answer.cookies["scanside_session"] != before
    assert anna.get("/account", follow_redirects=False).status_code == 200
    assert other.get("/account", follow_redirects=False).status_code == 303


def test_an_open_browser_is_no_way_to_guess_the_password(anna: TestClient) -> None:
    """It is slowed like signing in."""
    codes = [send(anna, "/account/password", password="x", new_password=NEW, again=NEW).status_code for _ in range(4)]
    assert codes == [400, 400, 400, 429]


def test_the_other_sessions_are_listed_and_ended(rows: Rows, anna: TestClient) -> None:
    """Where and when; with their browser's words as text."""
    put_session(rows.engine, "anna", NOW - 60)
    page = anna.get("/account").text
    assert page.count("192.0.2.7") == 2
    assert page.count("this one") == 1
    send(anna, "/account/end-others")
    with reading(rows.engine) as conn:
        assert len(conn.execute(select(sessions)).all()) == 1


def test_names_of_patients_are_shown_to_those_who_may_see_them(rows: Rows) -> None:
    """Not on the worklist, the study's page, in a title, a fragment or the API of anybody else."""
    rows.study("1.2.3", "urgent", patient_name="QUILL^JANE", patient_id="ID-77", accession_number="ACC-9")
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    put_user(rows.engine, "ben", Role.OPERATOR, names=False)
    seen = {}
    for name in ("anna", "ben"):
        client = sign_in(rows.client(), put_session(rows.engine, name, NOW))
        paths = ("/", "/fragments/", "/?order=arrival", "/studies/1.2.3", "/fragments/studies/1.2.3", "/api/status")
        seen[name] = "".join(client.get(path).text.upper() for path in paths)
    assert "QUILL" in seen["anna"]
    assert not [private for private in ("QUILL", "JANE", "ID-77", "ACC-9") if private in seen["ben"]]
