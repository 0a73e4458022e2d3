"""One's own page: password, language and sessions."""

from __future__ import annotations

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from appliance.people.errors import PeopleError
from appliance.people.passwords import is_password
from appliance.people.sessions import Session, begin_session, end_others, sessions_of
from appliance.people.throttle import Throttle
from appliance.people.users import set_password, user_named
from appliance.people.vouched import is_vouched
from appliance.web.cookies import SESSION, set_cookie
from appliance.web.entrance import session_times
from appliance.web.forms import form_of
from appliance.web.language import gettext as _
from appliance.web.people import address_of, visit_of
from appliance.web.people_words import ROLE_WORDS, done_words, problem_words
from appliance.web.sign_in import MOST_COMPARED_AT_ONCE
from appliance.web.site import Site
from store_forward.database import reading, writing


def account_routes(site: Site, throttle: Throttle) -> list[Route]:
    """The page of whoever is signed in, and its forms."""
    account = _Account(site, throttle)
    return [
        Route("/account", account.show),
        Route("/account/password", account.change_password, methods=["POST"]),
        Route("/account/end-others", account.end_others, methods=["POST"]),
    ]


class _Account:
    def __init__(self, site: Site, throttle: Throttle) -> None:
        self._site, self._throttle = site, throttle
        self._limiter = anyio.CapacityLimiter(MOST_COMPARED_AT_ONCE)

    def show(self, request: Request) -> Response:
        """The page; where nobody signs in there is none."""
        self._site.person(request)
        session = visit_of(request).session
        if session is None:
            return RedirectResponse("/users", 303)
        return self._page(request, session, done=done_words(request.query_params.get("done", "")))

    async def change_password(self, request: Request) -> Response:
        """Change one's own password: who only found an open browser does not know the former one."""
        self._site.person(request)
        session = visit_of(request).session
        if session is None:
            return RedirectResponse("/users", 303)
        if self._throttle.attempt(session.digest, session.user) > 0:
            words = _("Too many tries. Wait a few minutes, then try again.")
            return await anyio.to_thread.run_sync(self._problem, request, session, words, 429)
        return await anyio.to_thread.run_sync(self._changed, request, session, limiter=self._limiter)

    def end_others(self, request: Request) -> Response:
        """End one's sessions in other browsers."""
        self._site.person(request)
        session = visit_of(request).session
        if session is None:
            return RedirectResponse("/users", 303)
        with writing(self._site.engine) as conn:
            end_others(conn, session)
        return RedirectResponse("/account?done=others_ended", 303)

    def _changed(self, request: Request, session: Session) -> Response:
        site, form = self._site, form_of(request)
        with reading(site.engine) as conn:
            user = user_named(conn, session.user)
        if not is_password(user.password_hash if user else None, form.get("password", "")):
            return self._problem(request, session, _("The present password is wrong."))
        if form.get("new_password") != form.get("again"):
            return self._problem(request, session, _("The new password is not the same both times."))
        self._throttle.succeeded(session.digest, session.user)
        browser, times = request.headers.get("user-agent", ""), session_times(site.settings)
        try:
            with writing(site.engine) as conn:
                set_password(conn, session.user, form.get("new_password", ""), session.user, site.clock())
                token = begin_session(conn, session.user, address_of(request), browser, times, site.clock())
        except PeopleError as error:
            return self._problem(request, session, problem_words(error))
        answer = RedirectResponse("/account?done=password", 303)
        set_cookie(answer, site.settings.page, SESSION, token)
        return answer

    def _problem(self, request: Request, session: Session, words: str, code: int = 400) -> Response:
        return self._page(request, session, problem=words, code=code)

    def _page(
        self, request: Request, session: Session, *, problem: str = "", done: str = "", code: int = 200
    ) -> Response:
        with reading(self._site.engine) as conn:
            own = sessions_of(conn, session.user, session_times(self._site.settings), self._site.clock())
            vouched = is_vouched(conn, session.user)
        values = {
            "now": self._site.clock(),
            "role": ROLE_WORDS[session.role],
            "sessions": own,
            "this": session.digest,
            "vouched": vouched,
            "problem": problem,
            "done": done,
        }
        return self._site.render(request, "account.html", values, code)
