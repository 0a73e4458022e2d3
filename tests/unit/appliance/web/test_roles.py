"""Who may open what: every route of the page, tried by nobody, by programs and by each role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from appliance.people.roles import Role
from appliance.people.tokens import Scope, add_token
from appliance.web import app as page_app
from store_forward.database import writing
from tests.signed_in import put_session, put_user, sign_in
from tests.unit.appliance.web.rows import NOW, PNG, Rows

#: Who at least may ask for each route. ``open``: everybody. ``own token``: its own door is tested elsewhere.
Needed = Role | Literal["open", "own token"]
DOORS: Final[dict[tuple[str, str], Needed]] = {
    ("GET", "/"): Role.VIEWER,
    ("GET", "/fragments/"): Role.VIEWER,
    ("GET", "/link"): Role.VIEWER,
    ("GET", "/fragments/link"): Role.VIEWER,
    ("GET", "/box"): Role.VIEWER,
    ("GET", "/fragments/box"): Role.VIEWER,
    ("POST", "/notices/{seq:int}/acknowledge"): Role.VIEWER,
    ("GET", "/studies/{uid:path}"): Role.VIEWER,
    ("GET", "/fragments/studies/{uid:path}"): Role.VIEWER,
    ("GET", "/images/{digest}"): Role.VIEWER,
    ("GET", "/sign-in"): "open",
    ("POST", "/sign-in"): "open",
    ("POST", "/sign-out"): Role.VIEWER,
    ("POST", "/language"): "open",
    ("GET", "/account"): Role.VIEWER,
    ("POST", "/account/password"): Role.VIEWER,
    ("POST", "/account/end-others"): Role.VIEWER,
    ("GET", "/users"): Role.ADMINISTRATOR,
    ("POST", "/users/add"): Role.ADMINISTRATOR,
    ("POST", "/users/role"): Role.ADMINISTRATOR,
    ("POST", "/users/password"): Role.ADMINISTRATOR,
    ("POST", "/users/lock"): Role.ADMINISTRATOR,
    ("POST", "/users/unlock"): Role.ADMINISTRATOR,
    ("POST", "/users/remove"): Role.ADMINISTRATOR,
    ("POST", "/users/tokens/add"): Role.ADMINISTRATOR,
    ("POST", "/users/tokens/remove"): Role.ADMINISTRATOR,
    ("GET", "/events"): Role.VIEWER,
    ("GET", "/healthz"): "open",
    ("GET", "/api/status"): Role.MONITOR,
    ("POST", "/api/pulse"): "own token",
    ("GET", "/dicom-web"): "own token",
    ("GET", "/static"): "open",
}
#: What stands for the parameters of a path.
EXAMPLES: Final = {"{seq:int}": "4", "{uid:path}": "1.2.3", "{digest}": "a" * 64}
#: Of the answer to who may: it may be wrong use, but it is about the thing that was asked for.
TURNED_AWAY: Final = (401, 403)
SCOPE_OF: Final = {
    Role.MONITOR: Scope.STATUS,
    Role.VIEWER: Scope.STUDIES,
    Role.OPERATOR: Scope.OPERATE,
    Role.ADMINISTRATOR: Scope.ADMINISTER,
}


def doors_of(app: Starlette) -> Iterator[tuple[str, str]]:
    """Every method and path that the application answers; a mount that has a door of its own counts as one."""
    for route in app.routes:
        yield from _of(route, "")


def _of(route: BaseRoute, above: str) -> Iterator[tuple[str, str]]:
    assert isinstance(route, Mount | Route)
    path = above + route.path
    if isinstance(route, Route):
        yield from ((method, path) for method in sorted((route.methods or set()) - {"HEAD"}))
    elif ("GET", path) in DOORS:
        yield "GET", path
    else:
        for one in route.routes:
            yield from _of(one, path)


def concrete(path: str) -> str:
    """The path with examples for its parameters."""
    for parameter, example in EXAMPLES.items():
        path = path.replace(parameter, example)
    assert "{" not in path, f"{path} needs an example"
    return path


@pytest.fixture
def peopled(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """A box with a user of each role and a study; a stream that is opened ends at once."""
    monkeypatch.setattr(page_app, "MOST_WATCHERS", 0)
    rows.study("1.2.3", "urgent", thumbnail=rows.spool.keep_bytes(PNG).digest)
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR):
        put_user(rows.engine, role.word, role)
    return rows


def test_every_route_has_its_entry(rows: Rows) -> None:
    """A new route says here who may open it, or this fails."""
    app = rows.client().app
    assert isinstance(app, Starlette)
    assert sorted(doors_of(app)) == sorted(DOORS)


@pytest.mark.parametrize("role", [Role.NOBODY, Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR], ids=lambda r: r.word)
def test_every_route_opens_to_its_role_and_those_above(peopled: Rows, role: Role) -> None:
    """Tried with a session of this role, and a form as the page makes it."""
    for (method, path), needed in DOORS.items():
        if not isinstance(needed, Role):
            continue
        client = peopled.client()
        if role is not Role.NOBODY:
            sign_in(client, put_session(peopled.engine, role.word, NOW))
        answer = client.request(method, concrete(path), follow_redirects=False)
        to_sign_in = answer.headers.get("location", "").startswith("/sign-in") and path != "/sign-out"
        turned_away = answer.status_code in TURNED_AWAY or to_sign_in
        assert turned_away is (role < needed), f"{method} {path}: {answer.status_code}"
        assert answer.status_code != 500


@pytest.mark.parametrize("role", SCOPE_OF, ids=lambda role: role.word)
def test_tokens_open_what_is_for_programs_and_nothing_else(peopled: Rows, role: Role) -> None:
    """Pages, pictures and forms are for people."""
    with writing(peopled.engine) as conn:
        secret = add_token(conn, "program", SCOPE_OF[role], True, None, "", NOW)
    client = peopled.client()
    client.headers["authorization"] = f"Bearer {secret}"
    for (method, path), needed in DOORS.items():
        if not isinstance(needed, Role):
            continue
        answer = client.request(method, concrete(path), follow_redirects=False)
        opened = answer.status_code not in (*TURNED_AWAY, 303)
        assert opened is (path.startswith(("/api/", "/metrics")) and role >= needed), f"{method} {path}"


def test_what_is_open_needs_nobody(peopled: Rows) -> None:
    """Health, style, and the way in."""
    client = peopled.client()
    for path in ("/healthz", "/static/style.css", "/sign-in"):
        assert client.get(path, follow_redirects=False).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/static/../users", "/static/%2e%2e/users", "//users", "/USERS", "/users/", "/healthz/../users",
     "/fragments/users", "/api", "/api/", "/dicom-web/studies/1.2.3"],
)  # fmt: skip
def test_no_other_way_of_writing_a_path_leads_in(peopled: Rows, path: str) -> None:
    """Nor does the answer tell a stranger whether there is anything."""
    answer = peopled.client().get(path, follow_redirects=False)
    assert answer.status_code in (303, 401, 404)
    assert "1.2.3" not in answer.text


def test_a_monitor_reads_no_study(peopled: Rows) -> None:
    """A token for the state of the box gets counts; one for studies gets rows, without names all the same."""
    client = peopled.client()
    seen = {}
    for scope in (Scope.STATUS, Scope.STUDIES):
        with writing(peopled.engine) as conn:
            secret = add_token(conn, scope.value, scope, True, None, "", NOW)
        seen[scope] = client.get("/api/status", headers={"authorization": f"Bearer {secret}"})
    assert "1.2.3" not in seen[Scope.STATUS].text
    assert seen[Scope.STATUS].json()["worklist"]["counts"]["urgent"] == 1
    assert "1.2.3" in seen[Scope.STUDIES].text


def test_an_expired_or_unknown_token_is_told_so(peopled: Rows) -> None:
    """With the challenge that programs understand; a session beside it does not help."""
    with writing(peopled.engine) as conn:
        secret = add_token(conn, "old", Scope.ADMINISTER, True, 1.0, "", NOW - 90_000.0)
    client = sign_in(peopled.client(), put_session(peopled.engine, "administrator", NOW))
    for shown in (secret, "scanside_x", ""):
        answer = client.get("/api/status", headers={"authorization": f"Bearer {shown}"})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="scanside"')
        assert answer.json()["status"] == "failed"
