"""Signing in and out, and choosing a language: what is open to strangers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import update
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.people.history import record_sign_in, record_sign_out
from appliance.people.names import LONGEST_NAME, as_written
from appliance.people.passwords import is_outdated, is_password, rehashed
from appliance.people.sessions import begin_session, end_session
from appliance.people.tables import users
from appliance.people.throttle import Throttle
from appliance.people.users import User, user_named
from appliance.web.cookies import SESSION, drop_cookie, set_cookie
from appliance.web.entrance import session_times
from appliance.web.forms import form_of
from appliance.web.language import COOKIE as LANGUAGE
from appliance.web.language import LANGUAGES
from appliance.web.language import gettext as _
from appliance.web.people import Role, address_of, person_of, visit_of
from appliance.web.site import Site
from store_forward.database import reading, writing

log = structlog.get_logger()
#: Each takes 64 MiB and a core for a while; who comes meanwhile waits.
MOST_COMPARED_AT_ONCE: Final = 2
_YEAR_S: Final = 31_536_000


def sign_in_routes(site: Site, throttle: Throttle) -> list[Route]:
    """The way in, the way out, and the choice of a language."""
    way_in = _WayIn(site, throttle)
    return [
        Route("/sign-in", way_in.show),
        Route("/sign-in", way_in.sign_in, methods=["POST"]),
        Route("/sign-out", way_in.sign_out, methods=["POST"]),
        Route("/language", _choose_language(site), methods=["POST"]),
    ]


def own_place(text: str) -> str:
    """A path of this page to go to, or the worklist: never another host, whatever the text says."""
    plain = text.isprintable() and not any(sign in text for sign in "\\#")
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


class _WayIn:
    def __init__(self, site: Site, throttle: Throttle) -> None:
        self._site, self._throttle = site, throttle
        self._limiter = anyio.CapacityLimiter(MOST_COMPARED_AT_ONCE)

    def show(self, request: Request) -> Response:
        """The form; who is in already goes on."""
        place = own_place(request.query_params.get("next", "/"))
        if person_of(request).may(Role.VIEWER):
            return RedirectResponse(place, 303)
        return self._form(request, place)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session for who has name and password; the same words and time for whatever is wrong with them."""
        form, address = form_of(request), address_of(request)
        name, place = form.get("name", "")[: 4 * LONGEST_NAME], own_place(form.get("next", "/"))
        account = as_written(name)
        if (pause := self._throttle.attempt(address, account)) > 0:
            log.warning("sign_in.slowed", address=address, pause_s=round(pause, 1))
            return await anyio.to_thread.run_sync(self._slowed, request, place, name, math.ceil(pause))
        user, right = await anyio.to_thread.run_sync(
            self._compared, account, form.get("password", ""), limiter=self._limiter
        )
        if user is None or not right or user.locked_at is not None:
            locked = right and user is not None
            await anyio.to_thread.run_sync(self._failed, user, address)
            log.warning("sign_in.failed", address=address, user=user.name if user else "", locked=locked)
            words = (
                _("This user is locked. An administrator can unlock it.") if locked else _("Name or password is wrong.")
            )
            return await anyio.to_thread.run_sync(self._form, request, place, name, words, 403 if locked else 401)
        self._throttle.succeeded(address, account)
        log.info("sign_in.done", address=address, user=user.name)
        return await anyio.to_thread.run_sync(self._begun, request, user.name, place)

    def sign_out(self, request: Request) -> Response:
        """End the session; the browser forgets what it kept."""
        visit = visit_of(request)
        if visit.session is not None:
            with writing(self._site.engine) as conn:
                end_session(conn, visit.session.digest)
                record_sign_out(conn, visit.session.user, address_of(request), self._site.clock())
        answer = RedirectResponse("/sign-in", 303, headers={"Clear-Site-Data": '"cache"'})
        drop_cookie(answer, self._site.settings.page, SESSION)
        return answer

    def _failed(self, user: User | None, address: str) -> None:
        with writing(self._site.engine) as conn:
            record_sign_in(conn, user.name if user else "", address, self._site.clock(), done=False)

    def _compared(self, account: str, password: str) -> tuple[User | None, bool]:
        with reading(self._site.engine) as conn:
            user = user_named(conn, account)
        right = is_password(user.password_hash if user else None, password)
        if user is not None and right and is_outdated(user.password_hash):
            with writing(self._site.engine) as conn:
                conn.execute(update(users).where(users.c.name == user.name).values(password_hash=rehashed(password)))
        return user, right

    def _begun(self, request: Request, name: str, place: str) -> Response:
        answer = RedirectResponse(place, 303)
        begin(self._site, request, name, answer)
        return answer

    def _slowed(self, request: Request, place: str, name: str, pause_s: int) -> Response:
        words = _("Too many tries from here. Wait %(seconds)d s, then try again.") % {"seconds": pause_s}
        answer = self._form(request, place, name, words, 429)
        answer.headers["Retry-After"] = str(pause_s)
        return answer

    def _form(self, request: Request, place: str, name: str = "", problem: str = "", code: int = 200) -> Response:
        return show_form(self._site, request, place, name, problem, code)


def begin(site: Site, request: Request, name: str, answer: Response) -> None:
    """A session under a new token, whatever the browser brought with it; ``answer`` takes it to the browser."""
    before = visit_of(request).session
    with writing(site.engine) as conn:
        if before is not None:
            end_session(conn, before.digest)
        browser, times = request.headers.get("user-agent", ""), session_times(site.settings)
        token = begin_session(conn, name, address_of(request), browser, times, site.clock())
        record_sign_in(conn, name, address_of(request), site.clock(), done=True)
    set_cookie(answer, site.settings.page, SESSION, token)


def show_form(site: Site, request: Request, place: str, name: str = "", problem: str = "", code: int = 200) -> Response:
    """The form for name and password, with the way to the provider where there is one."""
    own = site.settings.oidc
    provider = own.name if own.issuer is not None else ""
    values = {"now": site.clock(), "next": place, "name": name, "problem": problem, "provider": provider}
    return site.render(request, "sign_in.html", values, code)


def _choose_language(site: Site) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        form = form_of(request)
        answer = RedirectResponse(own_place(form.get("next", "/")), 303)
        if (chosen := form.get("language")) in LANGUAGES:
            secure = site.settings.page.is_secure
            answer.set_cookie(LANGUAGE, chosen, max_age=_YEAR_S, path="/", secure=secure, httponly=True, samesite="lax")
        return answer

    return endpoint
