"""The page on which an administrator says who may use the others, and which programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.people.errors import PeopleError
from appliance.people.roles import USER_ROLES, Role
from appliance.people.tokens import Scope, add_token, all_tokens, remove_token
from appliance.people.users import (
    add_user,
    all_users,
    lock_user,
    recent_changes,
    remove_user,
    set_password,
    set_role,
    unlock_user,
)
from appliance.web.forms import form_of
from appliance.web.people import visit_of
from appliance.web.people_words import CHANGE_WORDS, ROLE_WORDS, SCOPE_WORDS, done_words, problem_words
from appliance.web.site import Site
from store_forward.database import reading, writing

#: For how long a token is good, in days; 0: until it is removed.
TOKEN_DAYS = (30, 90, 365, 0)

Fields = Mapping[str, str]
Act = Callable[[Connection, Fields, str, float], str]


def users_routes(site: Site) -> list[Route]:
    """The page and its forms; administrators only."""
    page = _UsersPage(site)
    return [
        Route("/users", page.show),
        Route("/users/tokens/add", page.add_token, methods=["POST"]),
        *(Route(f"/users/{path}", page.does(act), methods=["POST"]) for path, act in _ACTS.items()),
    ]


def role_named(word: str) -> Role:
    """The role of people with this name; a viewer where there is none."""
    return next((role for role in USER_ROLES if role.word == word), Role.VIEWER)


def _add(conn: Connection, form: Fields, by: str, now: float) -> str:
    add_user(conn, form.get("name", ""), form.get("password", ""), *_rights(form), by, now)
    return "added"


def _change(conn: Connection, form: Fields, by: str, now: float) -> str:
    set_role(conn, form.get("name", ""), *_rights(form), by, now)
    return "changed"


def _password(conn: Connection, form: Fields, by: str, now: float) -> str:
    set_password(conn, form.get("name", ""), form.get("password", ""), by, now)
    return "password"


def _lock(conn: Connection, form: Fields, by: str, now: float) -> str:
    lock_user(conn, form.get("name", ""), by, now)
    return "locked"


def _unlock(conn: Connection, form: Fields, by: str, now: float) -> str:
    unlock_user(conn, form.get("name", ""), by, now)
    return "unlocked"


def _remove(conn: Connection, form: Fields, by: str, now: float) -> str:
    remove_user(conn, form.get("name", ""), by, now)
    return "removed"


def _remove_token(conn: Connection, form: Fields, by: str, now: float) -> str:
    remove_token(conn, form.get("name", ""), by, now)
    return "token_removed"


_ACTS: dict[str, Act] = {
    "add": _add,
    "role": _change,
    "password": _password,
    "lock": _lock,
    "unlock": _unlock,
    "remove": _remove,
    "tokens/remove": _remove_token,
}


def _rights(form: Fields) -> tuple[Role, bool]:
    return role_named(form.get("role", "")), form.get("names") == "shown"


class _UsersPage:
    def __init__(self, site: Site) -> None:
        self._site = site

    def show(self, request: Request) -> Response:
        """Users, tokens, and what was changed about them."""
        self._site.person(request, Role.ADMINISTRATOR)
        return self._page(request, done=done_words(request.query_params.get("done", "")))

    def does(self, act: Act) -> Callable[[Request], Response]:
        """The endpoint of one form: done in one transaction, or said why not."""

        def endpoint(request: Request) -> Response:
            person = self._site.person(request, Role.ADMINISTRATOR)
            try:
                with writing(self._site.engine) as conn:
                    done = act(conn, form_of(request), person.name, self._site.clock())
            except PeopleError as error:
                return self._page(request, problem=problem_words(error), code=400)
            return RedirectResponse(f"/users?done={done}", 303)

        return endpoint

    def add_token(self, request: Request) -> Response:
        """Add a token and show its secret, this once."""
        person, form = self._site.person(request, Role.ADMINISTRATOR), form_of(request)
        scope = Scope(form["scope"]) if form.get("scope") in list(Scope) else Scope.STATUS
        days = form.get("days", "")
        good_for = float(days) if days in {str(one) for one in TOKEN_DAYS if one} else None
        try:
            with writing(self._site.engine) as conn:
                shows = form.get("names") == "shown"
                now = self._site.clock()
                secret = add_token(conn, form.get("name", ""), scope, shows, good_for, person.name, now)
        except PeopleError as error:
            return self._page(request, problem=problem_words(error), code=400)
        return self._page(request, secret=secret)

    def _page(
        self, request: Request, *, code: int = 200, problem: str = "", done: str = "", secret: str = ""
    ) -> Response:
        with reading(self._site.engine) as conn:
            values = {"users": all_users(conn), "tokens": all_tokens(conn), "changes": recent_changes(conn)}
        session = visit_of(request).session
        known = {
            "now": self._site.clock(),
            "roles": {role.word: ROLE_WORDS[role] for role in USER_ROLES},
            "scopes": {scope.value: SCOPE_WORDS[scope] for scope in Scope},
            "change_words": CHANGE_WORDS,
            "token_days": TOKEN_DAYS,
            "own_name": session.user if session else "",
        }
        return self._site.render(
            request, "users.html", {**known, **values, "problem": problem, "done": done, "secret": secret}, code
        )
