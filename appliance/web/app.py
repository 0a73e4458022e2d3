"""The status page's server: which page is where, the stream of changes, and what machines ask."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from appliance.dicomweb.door import dicomweb_token
from appliance.dicomweb.service import dicomweb_mount
from appliance.dicomweb.words import ROOT_PATH
from appliance.people.throttle import Throttle
from appliance.settings import Settings
from appliance.standby.endpoint import PulseEndpoint
from appliance.standby.keeper import standby_token
from appliance.standby.words import PULSE_PATH
from appliance.web.account import account_routes
from appliance.web.api.problems import problem_answer
from appliance.web.api.service import API_PATH, api_mount
from appliance.web.box_page import box_routes
from appliance.web.entrance import Entrance, still_in
from appliance.web.forms import TokensInForms
from appliance.web.headers import GuardedAnswers
from appliance.web.language import Speaking
from appliance.web.language import gettext as _
from appliance.web.link import link_routes
from appliance.web.live import Watch, changes
from appliance.web.metrics import metrics_routes
from appliance.web.overview import overview_routes
from appliance.web.pages import FOLDER, make_templates
from appliance.web.people import Visit, visit_of
from appliance.web.probes import probe_routes
from appliance.web.provider_sign_in import provider_routes
from appliance.web.quality import quality_routes
from appliance.web.setup import setup_routes
from appliance.web.setup_rules import rules_routes
from appliance.web.sign_in import sign_in_routes
from appliance.web.site import Site
from appliance.web.static_files import static_mount
from appliance.web.studies import study_routes
from appliance.web.users import users_routes
from store_forward.spool import Spool

#: How many browsers may watch at the same time; one more is told to come back later.
MOST_WATCHERS = 64


def build_app(
    settings: Settings,
    engine: Engine,
    spool: Spool,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The page as an ASGI application over the box's database and spool.

    ``clock`` gives epoch seconds, ``monotonic`` those of a clock that is never set back.
    """
    watch = Watch(settings, engine, spool, clock)
    site = Site(settings, engine, spool, clock, make_templates(settings), watch)
    throttle = Throttle(monotonic)
    pulse = PulseEndpoint(settings, engine, standby_token(settings), clock)
    stream, failures = _Stream(site), _Failures(site)
    return Starlette(
        routes=[
            *overview_routes(site),
            *box_routes(site),
            *link_routes(site),
            *study_routes(site),
            *sign_in_routes(site, throttle),
            *provider_routes(site, throttle, monotonic),
            *account_routes(site, throttle),
            *users_routes(site),
            *quality_routes(site),
            *setup_routes(site),
            *rules_routes(site),
            Route("/events", stream.events),
            *probe_routes(site),
            *metrics_routes(site),
            Route(PULSE_PATH, pulse.answer, methods=["POST"]),  # below /api, so before it
            api_mount(site),
            dicomweb_mount(settings, engine, spool, clock),
            static_mount(FOLDER / "static"),
        ],
        middleware=[
            *_proxies(settings),
            Middleware(GuardedAnswers, page=settings.page),
            Middleware(Speaking),
            Middleware(TokensInForms, page=settings.page),
            Middleware(
                Entrance,
                site=site,
                own_token=not settings.dicomweb.enabled or dicomweb_token(settings) is not None,
                problem=failures.problem,
                database_problem=failures.database_problem,
            ),
        ],
        exception_handlers={HTTPException: failures.problem, DatabaseError: failures.database_problem},
    )


def _proxies(settings: Settings) -> list[Middleware]:
    """What takes the browser's address from a proxy's header, where the proxy is trusted."""
    trusted = [str(one) for one in settings.page.trusted_proxies]
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)] if trusted else []


@dataclass
class _Stream:
    """The stream that tells an open page when to fetch its fragment anew."""

    site: Site
    watchers: int = field(default=0)

    async def events(self, request: Request) -> Response:
        self.site.person(request)
        if self.watchers >= MOST_WATCHERS:
            raise HTTPException(503, _("Too many browsers are watching; this page does not update by itself."))
        return EventSourceResponse(self._watched(visit_of(request)), headers={"Cache-Control": "no-store"})

    async def _watched(self, visit: Visit) -> AsyncIterator[ServerSentEvent]:
        def look() -> str:
            if not still_in(self.site, visit):
                raise _SignedOut
            return self.site.watch.digest()

        self.watchers += 1
        try:
            async for change in changes(lambda: anyio.to_thread.run_sync(look), anyio.sleep):
                yield change
        except _SignedOut:
            yield ServerSentEvent(data="", event="signed_out")
        finally:
            self.watchers -= 1


class _SignedOut(Exception):
    """Whoever watched has no session any more."""


@dataclass(frozen=True)
class _Failures:
    site: Site

    def problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = self._failure(request, error.status_code, error.detail)
        answer.headers.update(error.headers or {})
        return answer

    def database_problem(self, request: Request, _error: Exception) -> Response:
        sentence = _("The box's database cannot be read at the moment. Images already sent are safe in the spool.")
        return self._failure(request, 503, sentence)

    def _failure(self, request: Request, code: int, sentence: str) -> Response:
        if request.url.path.startswith(API_PATH):
            return problem_answer(code, sentence)
        if request.url.path.startswith(("/metrics", ROOT_PATH)):
            return JSONResponse({"status": "failed", "detail": sentence}, code)
        if request.url.path.startswith(("/images/", "/static/", "/events")):
            return PlainTextResponse(f"{sentence}\n", code)
        return self.site.render(request, "problem.html", {"sentence": sentence, "now": self.site.clock()}, code)
