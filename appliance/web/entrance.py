"""The one door of the page: finds out who asks, lets nobody in where one has to sign in, and no forged form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import anyio.to_thread
import structlog
from sqlalchemy.exc import DatabaseError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from appliance.dicomweb.words import ROOT_PATH
from appliance.people.roles import STRANGER, Person, Role
from appliance.people.sessions import Session, Times, find_session, note_use, still_stands, wants_noting
from appliance.people.tokens import who_shows
from appliance.people.users import has_users
from appliance.settings import Settings
from appliance.standby.words import PULSE_PATH
from appliance.web.cookies import SESSION, cookie_of
from appliance.web.forms import checked
from appliance.web.language import gettext as _
from appliance.web.people import Visit, set_visit, visit_of
from appliance.web.site import Site
from store_forward.database import reading, writing

log = structlog.get_logger()

#: Open to everybody: nothing of a study or a person is there.
_OPEN: Final = ("/static/", "/healthz", "/readyz")
#: Where a stranger may go to become somebody.
_WAY_IN: Final = ("/sign-in", "/language")
#: Where programs show an API token.
_FOR_PROGRAMS: Final = ("/api/", "/metrics", f"{ROOT_PATH}/")
#: What a page fetches by itself: that a person is still there cannot be told from it.
_BY_ITSELF: Final = ("/fragments/", "/events", "/images/", "/api/")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: A proxy adds at least one of these: what it sends does not come from this machine.
_VIA_PROXY: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "via")

#: A browser adds at least one of these to what it sends on behalf of any page.
_BROWSERS: Final = ("origin", "sec-fetch-site")

Failure = Callable[[Request, Exception], Response]


def session_times(settings: Settings) -> Times:
    """When sessions end by themselves."""
    return Times(settings.page.session_idle_s, settings.page.session_s)


class Entrance:
    """ASGI middleware; ``own_token``: DICOMweb asks for a token of its own, or is closed."""

    def __init__(self, app: ASGIApp, site: Site, own_token: bool, problem: Failure, database_problem: Failure) -> None:
        self._app, self._site = app, site
        self._problem, self._database_problem = problem, database_problem
        self._elsewhere = (PULSE_PATH, *((ROOT_PATH,) if own_token else ()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        set_visit(request, Visit(STRANGER))
        if not _is_below(request.scope["path"], (*_OPEN, *self._elsewhere)):
            try:
                set_visit(request, await anyio.to_thread.run_sync(self._look, request))
                receive = await self._guarded(request, receive)
            except _NotIn as not_in:
                await not_in.answer(scope, receive, send)
                return
            except HTTPException as refused:
                await self._problem(request, refused)(scope, receive, send)
                return
            except DatabaseError as error:
                await self._database_problem(request, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _look(self, request: Request) -> Visit:
        """Who asks. Raises sqlalchemy.exc.DatabaseError."""
        site, path, now = self._site, request.scope["path"], self._site.clock()
        page = site.settings.page
        scheme, _space, secret = request.headers.get("authorization", "").partition(" ")
        with reading(site.engine) as conn:
            if scheme.lower() == "bearer" and _is_below(path, _FOR_PROGRAMS):
                return Visit(_as_allowed(who_shows(conn, secret.strip(), now), page.show_patient), by_token=True)
            if not has_users(conn):
                here = page.is_local and not any(name in request.headers for name in _VIA_PROXY)
                everybody = Person("", Role.ADMINISTRATOR, page.show_patient)
                return Visit(everybody if here else STRANGER, without_users=True)
            session = find_session(conn, cookie_of(request, page, SESSION), session_times(site.settings), now)
        if session is None:
            return Visit(STRANGER)
        if not _is_below(path, _BY_ITSELF):
            self._note(session, now)
        return Visit(_as_allowed(Person(session.user, session.role, session.sees_patients), page.show_patient), session)

    def _note(self, session: Session, now: float) -> None:
        if not wants_noting(session, now):
            return
        try:
            with writing(self._site.engine) as conn:
                note_use(conn, session, now)
        except OperationalError as error:  # a full disk; the page is needed then more than ever
            log.warning("session.not_noted", kind=type(error.orig).__name__)

    async def _guarded(self, request: Request, receive: Receive) -> Receive:
        visit, path = visit_of(request), request.scope["path"]
        if visit.person.role is Role.NOBODY and not (_is_below(path, _WAY_IN) and not visit.without_users):
            raise _NotIn(await anyio.to_thread.run_sync(self._turned_away, request))
        in_dicomweb = _is_below(path, (ROOT_PATH,))
        if in_dicomweb and not visit.without_users:
            self._into_dicomweb(request, visit)
        if request.method in _SAFE or visit.by_token or (in_dicomweb and visit.session is None):
            return receive
        if (
            visit.without_users
            and _is_below(path, _FOR_PROGRAMS)
            and not any(one in request.headers for one in _BROWSERS)
        ):
            return receive
        return await checked(request, receive, self._site.settings.page)

    def _into_dicomweb(self, request: Request, visit: Visit) -> None:
        """Where DICOMweb has no token of its own, a user or an API token opens it: images have names in them."""
        needed = Role.VIEWER if request.method in _SAFE else Role.OPERATOR
        if not visit.person.may(needed) or not visit.person.sees_patients:
            raise HTTPException(403, _("This is not open to your role."))

    def _turned_away(self, request: Request) -> Response:
        path = request.scope["path"]
        if visit_of(request).without_users:
            if path.startswith(("/fragments/", "/images/", "/events", *_FOR_PROGRAMS)):
                return self._problem(
                    request, HTTPException(403, _("This box has no users yet; add one on its console."))
                )
            return self._site.render(request, "first_user.html", {"now": self._site.clock()}, 403)
        if path.startswith(_FOR_PROGRAMS):
            shown = {"WWW-Authenticate": 'Bearer realm="scanside"'}
            return self._problem(request, HTTPException(401, _("Sign in, or show an API token."), shown))
        if path.startswith(("/fragments/", "/images/", "/events")) or request.method not in _SAFE:
            return self._problem(request, HTTPException(401, _("Nobody is signed in here any more. Sign in again.")))
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/sign-in" + (f"?{urlencode({'next': wanted})}" if wanted != "/" else ""), 303)


class _NotIn(Exception):
    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


def still_in(site: Site, visit: Visit) -> bool:
    """Whether what let this visit in still holds: its session stands, or there are still no users.

    Raises sqlalchemy.exc.DatabaseError.
    """
    with reading(site.engine) as conn:
        if visit.session is not None:
            return still_stands(conn, visit.session.digest, session_times(site.settings), site.clock())
        return visit.by_token or not has_users(conn)


def _as_allowed(person: Person | None, show_patient: bool) -> Person:
    if person is None:
        return STRANGER
    return Person(person.name, person.role, person.sees_patients and show_patient)


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == one.rstrip("/") or path.startswith(one if one.endswith("/") else f"{one}/") for one in prefixes)
