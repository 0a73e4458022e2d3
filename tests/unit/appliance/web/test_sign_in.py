"""Signing in and out, and the attacks on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import select
from starlette.testclient import TestClient

from appliance.audit.trail import rows as rows_of
from appliance.people.roles import Role
from appliance.people.tables import sessions, users
from appliance.people.throttle import FREE_FOR_ACCOUNT
from appliance.people.users import lock_user, set_role
from appliance.web.app import build_app
from appliance.web.cookies import SESSION, VISITOR
from appliance.web.forms import HEADER, token_for
from appliance.web.sign_in import own_place
from store_forward.database import reading, writing
from tests.signed_in import ORIGIN, PASSWORD, put_session, put_user, sign_in
from tests.unit.appliance.web.rows import NOW, Rows

TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@pytest.fixture
def peopled(rows: Rows) -> Rows:
    """A box with an administrator and a viewer who sees no names."""
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    put_user(rows.engine, "ben", Role.VIEWER, names=False)
    return rows


def browser(rows: Rows, address: str = "192.0.2.7", **options: Any) -> TestClient:
    """A browser that knows nothing yet, at an address."""
    app = build_app(rows.settings, rows.engine, rows.spool, lambda: rows.now, lambda: rows.now)
    return TestClient(app, base_url="http://127.0.0.1:8080", client=(address, 50_000), **options)


def enter(client: TestClient, name: str = "anna", password: str = PASSWORD, place: str = "/") -> Response:
    """Fill in the form as it is shown."""
    form = TOKEN.search(client.get("/sign-in").text)
    assert form is not None
    fields = {"name": name, "password": password, "next": place, "form_token": form[1]}
    return client.post("/sign-in", data=fields, headers=ORIGIN, follow_redirects=False)


def test_who_has_name_and_password_gets_in(peopled: Rows) -> None:
    """And where they wanted to; the cookie is for the server alone."""
    client = browser(peopled)
    answer = client.get("/link?x=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Flink%3Fx%3D1")
    answer = enter(client, " ANNA ", place="/link?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/link?x=1")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION}=")
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert "Secure" not in cookie
    page = client.get("/").text
    assert "anna" in page
    assert "Sign out" in page


@pytest.mark.parametrize(
    ("name", "password"),
    [("anna", "wrong"), ("anna", ""), ("nobody", PASSWORD), ("", ""), ("x'; DROP TABLE users; --", PASSWORD),
     ("' OR '1'='1", "' OR '1'='1"), ("<script>alert(1)</script>", PASSWORD), ("a" * 100_000, "b" * 100_000)],
)  # fmt: skip
def test_whatever_is_wrong_the_words_are_the_same(peopled: Rows, name: str, password: str) -> None:
    """Nobody learns which names there are, and nothing typed becomes markup or SQL."""
    answer = enter(browser(peopled), name, password)
    assert answer.status_code == 401
    assert "Name or password is wrong." in answer.text
    assert "<script>alert" not in answer.text
    assert SESSION not in answer.headers.get("set-cookie", "")
    with reading(peopled.engine) as conn:
        assert len(conn.execute(select(users)).all()) == 2


def test_a_locked_user_is_told_so_only_with_the_right_password(peopled: Rows) -> None:
    """Otherwise the words would tell who is locked."""
    with writing(peopled.engine) as conn:
        lock_user(conn, "ben", "", NOW)
    assert enter(browser(peopled), "ben", "wrong").status_code == 401
    answer = enter(browser(peopled), "ben")
    assert (answer.status_code, "This user is locked" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "evil", "",
     "/\t/evil.example", "/x\r\nSet-Cookie: a=b", "///evil.example"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(peopled: Rows, place: str) -> None:
    """What follows sign-in is a page of this box, whatever the link said."""
    assert own_place(place) == "/"
    assert enter(browser(peopled), place=place).headers["location"] == "/"


def test_guessing_is_slowed_while_the_right_person_gets_in(peopled: Rows) -> None:
    """The one who guesses is told to wait, even with the right password then; anna elsewhere notices nothing."""
    app = build_app(peopled.settings, peopled.engine, peopled.spool, lambda: peopled.now, lambda: peopled.now)
    evil = TestClient(app, base_url="http://127.0.0.1:8080", client=("192.0.2.66", 1))
    good = TestClient(app, base_url="http://127.0.0.1:8080", client=("192.0.2.7", 1))
    guesses = [enter(evil, password=f"guess {number}") for number in range(FREE_FOR_ACCOUNT + 1)]
    assert [one.status_code for one in guesses] == [401] * FREE_FOR_ACCOUNT + [429]
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert enter(evil).status_code == 429
    assert enter(good).status_code == 303
    peopled.now += int(guesses[-1].headers["retry-after"])
    assert enter(evil).status_code == 303


def test_sign_ins_stand_in_the_audit_trail(peopled: Rows) -> None:
    """Failures included; what a stranger has typed is not."""
    client = browser(peopled)
    enter(client, "ben", "wrong")
    enter(client, "<b>my password</b>")
    token = enter(client).cookies[SESSION]
    sign_in(client, token).post("/sign-out")
    with reading(peopled.engine) as conn:
        found = [
            (one.event["event_type"][1], one.event["outcome"], one.event["participants"][0]["user_id"])
            for one in rows_of(conn)
        ]
    assert found == [("Login", 4, "ben"), ("Login", 4, "unknown"), ("Login", 0, "anna"), ("Logout", 0, "anna")]


@pytest.fixture
def signed_in(peopled: Rows) -> Iterator[TestClient]:
    """The administrator's browser."""
    yield sign_in(browser(peopled), put_session(peopled.engine, "anna", NOW))


def test_an_altered_cookie_is_nobody(peopled: Rows, signed_in: TestClient) -> None:
    """A changed letter, the digest out of a stolen database, another one's name."""
    assert signed_in.get("/", follow_redirects=False).status_code == 200
    with reading(peopled.engine) as conn:
        digest = conn.execute(select(sessions.c.token_digest)).scalar_one()
    for stolen in (digest, "anna", "x" * 43, "' OR 1=1 --", "%00"):
        client = browser(peopled)
        client.cookies.set(SESSION, stolen)
        assert client.get("/", follow_redirects=False).status_code == 303


def test_a_session_ends_for_the_thief_too(peopled: Rows, signed_in: TestClient) -> None:
    """Sign-out, a change of the role and time end it on the server, not only in one browser."""
    thief = browser(peopled)
    thief.cookies.set(SESSION, signed_in.cookies[SESSION])
    assert thief.get("/users").status_code == 200
    answer = signed_in.post("/sign-out", follow_redirects=False)
    assert answer.headers["location"] == "/sign-in"
    assert thief.get("/users", follow_redirects=False).status_code == 303
    again = sign_in(browser(peopled), put_session(peopled.engine, "anna", NOW))
    with writing(peopled.engine) as conn:
        set_role(conn, "anna", Role.OPERATOR, True, "", NOW, even_last=True)
    assert again.get("/", follow_redirects=False).status_code == 303


def test_it_ends_in_time_and_looking_on_does_not_prolong_it(peopled: Rows, signed_in: TestClient) -> None:
    """What an open page fetches by itself is not a person; opening a page is."""
    idle = peopled.settings.page.session_idle_s
    for _ in range(3):
        peopled.now += idle / 2
        assert signed_in.get("/", follow_redirects=False).status_code == 200
    for _ in range(2):
        peopled.now += idle / 3
        assert signed_in.get("/fragments/").status_code == 200
    peopled.now += idle / 2
    assert signed_in.get("/fragments/").status_code == 401
    assert signed_in.get("/", follow_redirects=False).status_code == 303


def test_no_session_is_fixed_beforehand(peopled: Rows) -> None:
    """A cookie that was planted is not the session afterwards, nor is the one before another sign-in."""
    client = browser(peopled)
    client.cookies.set(SESSION, "planted", domain="127.0.0.1", path="/")
    first = enter(client).cookies[SESSION]
    assert first != "planted"
    second = sign_in(browser(peopled), put_session(peopled.engine, "anna", NOW))
    before = second.cookies[SESSION]
    form = {"name": "ben", "password": PASSWORD}
    after = second.post("/sign-in", data=form, follow_redirects=False).cookies[SESSION]
    assert after != before
    thief = browser(peopled)
    thief.cookies.set(SESSION, before)
    assert thief.get("/", follow_redirects=False).status_code == 303


FORGED: dict[str, dict[str, str]] = {
    "no token": {},
    "a token of nobody": {HEADER: token_for("")},
    "rubbish": {HEADER: "x"},
    "another session's": {HEADER: token_for("other")},
}


@pytest.mark.parametrize(
    "path", ["/users/lock", "/sign-out", "/account/end-others", "/notices/4/acknowledge", "/language"]
)
@pytest.mark.parametrize("forged", FORGED)
def test_a_form_without_the_sessions_token_does_nothing(peopled: Rows, path: str, forged: str) -> None:
    """Even from the page's own origin."""
    client = browser(peopled)
    client.cookies.set(SESSION, put_session(peopled.engine, "anna", NOW))
    answer = client.post(path, data={"name": "ben"}, headers=ORIGIN | FORGED[forged], follow_redirects=False)
    assert answer.status_code == 403
    with reading(peopled.engine) as conn:
        assert conn.execute(select(users.c.locked_at).where(users.c.name == "ben")).scalar_one() is None


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://127.0.0.1:8081", "http://127.0.0.1:8080.evil.example"]
)
def test_a_form_from_elsewhere_does_nothing(peopled: Rows, signed_in: TestClient, origin: str) -> None:
    """Even with the right token; and nobody can be signed in as somebody else from there."""
    del signed_in.headers["origin"]
    shown = {"origin": origin} if origin else {}
    assert signed_in.post("/users/lock", data={"name": "ben"}, headers=shown).status_code == 403
    client = peopled.client()
    form = {"name": "anna", "password": PASSWORD}
    answer = client.post("/sign-in", data=form, headers=shown)
    assert (answer.status_code, SESSION in answer.cookies) == (403, False)


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"content-length": "99999999"}, 413), ({"transfer-encoding": "chunked"}, 411), ({"content-length": "-1"}, 411)],
)
def test_a_form_has_a_size(signed_in: TestClient, headers: dict[str, str], code: int) -> None:
    """Refused before it is read."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert signed_in.post("/users/lock", content=b"name=ben", headers=kind | headers).status_code == code


def test_the_token_of_a_form_with_a_file_stands_first(peopled: Rows, signed_in: TestClient) -> None:
    """The page puts it there; a token further on in what was sent does not count."""
    token = signed_in.headers.pop(HEADER)
    good = signed_in.post("/language", files={"form_token": (None, token), "file": ("x", b"y")}, follow_redirects=False)
    bad = signed_in.post("/language", files={"file": ("x", b"y" * 2000), "form_token": (None, token)})
    assert (good.status_code, bad.status_code) == (303, 403)


def test_a_form_with_a_large_file_is_passed_on_as_it_comes(peopled: Rows, signed_in: TestClient) -> None:
    """Only its beginning is looked at; how large it may be is for whoever answers."""
    token = signed_in.headers.pop(HEADER)
    large = b"y" * 9_000_000
    answer = signed_in.post(
        "/language", files={"form_token": (None, token), "file": ("x", large)}, follow_redirects=False
    )
    assert answer.status_code == 303


def test_without_users_programs_of_this_machine_need_no_form(rows: Rows) -> None:
    """A browser says where it comes from, so that no site can have it send for itself; a program does not."""
    client = browser(rows)
    codes = {
        name: client.post("/api/status", headers=headers).status_code
        for name, headers in {
            "program": {},
            "site": {"origin": "https://evil.example"},
            "old form": ORIGIN,
            "browser": {"sec-fetch-site": "cross-site"},
        }.items()
    }
    assert codes == {"program": 405, "site": 403, "old form": 403, "browser": 403}
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    assert client.post("/api/status").status_code == 401


def test_the_language_is_everybodys_choice(peopled: Rows) -> None:
    """Also before sign-in; one we do not speak changes nothing."""
    client = peopled.client()
    answer = client.post("/language", data={"language": "ar", "next": "/sign-in"}, headers=ORIGIN)
    assert 'dir="rtl"' in answer.text
    client.post("/language", data={"language": "<b>"}, headers=ORIGIN)
    assert client.cookies["scanside_language"] == "ar"


def test_without_users_this_machine_administers_and_is_told_so(rows: Rows) -> None:
    """As before there were users; through a proxy it is not this machine."""
    client = rows.client()
    assert "No users: everyone on this machine administers this box." in client.get("/").text
    assert client.get("/users").status_code == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Forwarded-Host"):
        assert client.get("/", headers={header: "192.0.2.1"}).status_code == 403


@pytest.mark.parametrize(
    "page",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"public_url": "https://box.example.org"},
        {"trusted_proxies": ["127.0.0.1"]},
    ],
)
def test_without_users_a_page_on_the_network_shows_the_way_only(
    rows: Rows, tmp_path: Path, page: dict[str, object]
) -> None:
    """Nobody is stuck, nothing is open, and health is still told."""
    rows.configure(tmp_path, page=page)
    rows.study("1.2.3", "urgent", patient_name="DOE^JANE")
    client = rows.client()
    for path in ("/", "/users", "/studies/1.2.3", "/fragments/", "/api/status", "/events", "/sign-in", "/dicom-web/"):
        answer = client.get(path, follow_redirects=False)
        assert (answer.status_code, "DOE" in answer.text) == ((404 if path == "/dicom-web/" else 403), False), path
    assert "scanside users add" in client.get("/").text
    assert client.post("/users/add", data={"name": "evil"}, headers=ORIGIN).status_code == 403
    assert client.get("/healthz").status_code == 200
    assert client.get("/static/style.css").status_code == 200
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    assert client.get("/", follow_redirects=False).status_code == 303


def test_behind_tls_cookies_never_go_without(rows: Rows, tmp_path: Path) -> None:
    """They are Secure and bound to this host by their prefix, and browsers are told to come by https only."""
    rows.configure(tmp_path, page={"public_url": "https://box.example.org", "trusted_proxies": ["127.0.0.1"]})
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    app = build_app(rows.settings, rows.engine, rows.spool, lambda: rows.now, lambda: rows.now)
    client = TestClient(app, base_url="https://box.example.org", client=("127.0.0.1", 1))
    form = TOKEN.search(client.get("/sign-in").text)
    assert form is not None
    fields = {"name": "anna", "password": PASSWORD, "form_token": form[1]}
    own = {"origin": "https://box.example.org", "x-forwarded-for": "203.0.113.9"}
    answer = client.post("/sign-in", data=fields, headers=own, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["set-cookie"].startswith(f"__Host-{SESSION}=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    with reading(rows.engine) as conn:
        assert conn.execute(select(sessions.c.address)).scalar_one() == "203.0.113.9"
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421


def test_nobody_chooses_the_address_that_is_counted(peopled: Rows) -> None:
    """A forwarding header counts only from a proxy that the configuration names."""
    client = browser(peopled, "192.0.2.66")
    codes = []
    for number in range(FREE_FOR_ACCOUNT + 1):
        client.headers["x-forwarded-for"] = f"198.51.100.{number}"
        codes.append(enter(client, password="wrong").status_code)
    assert codes[-1] == 429


def test_a_browser_keeps_its_forms_over_a_restart(peopled: Rows) -> None:
    """What binds them is in the browser, not in the server's memory."""
    client = browser(peopled)
    form = TOKEN.search(client.get("/sign-in").text)
    assert form is not None
    assert VISITOR in client.cookies
    again = browser(peopled)
    again.cookies.update(client.cookies)
    fields = {"name": "anna", "password": PASSWORD, "form_token": form[1]}
    assert again.post("/sign-in", data=fields, headers=ORIGIN, follow_redirects=False).status_code == 303
