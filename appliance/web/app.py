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

from appliance.dicomweb.service import dicomweb_mount
from appliance.dicomweb.words import ROOT_PATH
from appliance.settings import Settings
from appliance.standby.endpoint import PulseEndpoint
from appliance.standby.keeper import standby_token
from appliance.standby.words import PULSE_PATH
from appliance.web.box import process_views
from appliance.web.headers import GuardedAnswers
from appliance.web.language import Speaking
from appliance.web.language import gettext as _
from appliance.web.live import Watch, changes
from appliance.web.overview import overview_routes
from appliance.web.pages import FOLDER, make_templates
from appliance.web.site import Site
from appliance.web.static_files import static_mount
from appliance.web.studies import study_routes
from appliance.web.views import status, status_dict
from store_forward.database import reading
from store_forward.spool import Spool

#: How many browsers may watch at the same time; one more is told to come back later.
MOST_WATCHERS = 64


def build_app(settings: Settings, engine: Engine, spool: Spool, clock: Callable[[], float] = time.time) -> Starlette:
    """The page as an ASGI application over the box's database and spool; ``clock`` gives epoch seconds."""
    watch = Watch(settings, engine, spool, clock)
    site = Site(settings, engine, spool, clock, make_templates(settings), watch)
    pulse = PulseEndpoint(settings, engine, standby_token(settings), clock)
    machines, stream, failures = _Machines(site), _Stream(site), _Failures(site)
    return Starlette(
        routes=[
            *overview_routes(site),
            *study_routes(site),
            Route("/events", stream.events),
            Route("/healthz", machines.healthz),
            Route("/api/status", machines.status),
            Route(PULSE_PATH, pulse.answer, methods=["POST"]),
            dicomweb_mount(settings, engine, spool, clock),
            static_mount(FOLDER / "static"),
        ],
        middleware=[Middleware(GuardedAnswers, listens_on=settings.page.host), Middleware(Speaking)],
        exception_handlers={HTTPException: failures.problem, DatabaseError: failures.database_problem},
    )


@dataclass
class _Stream:
    """The stream that tells an open page when to fetch its fragment anew."""

    site: Site
    watchers: int = field(default=0)

    async def events(self, _request: Request) -> Response:
        if self.watchers >= MOST_WATCHERS:
            raise HTTPException(503, _("Too many browsers are watching; this page does not update by itself."))
        return EventSourceResponse(self._watched(), headers={"Cache-Control": "no-store"})

    async def _watched(self) -> AsyncIterator[ServerSentEvent]:
        self.watchers += 1
        try:
            async for change in changes(lambda: anyio.to_thread.run_sync(self.site.watch.digest), anyio.sleep):
                yield change
        finally:
            self.watchers -= 1


@dataclass(frozen=True)
class _Machines:
    site: Site

    def healthz(self, _request: Request) -> Response:
        """200 while the database can be read and every process reports; else 503 with what is wrong."""
        with reading(self.site.engine) as conn:
            silent = [one.name for one in process_views(conn, self.site.clock()) if one.silent]
        state = {"status": "degraded" if silent else "ok", "silent": silent}
        return JSONResponse(state, 503 if silent else 200)

    def status(self, _request: Request) -> Response:
        site = self.site
        surroundings = site.watch.surroundings()
        with reading(site.engine) as conn:
            view = status(conn, site.settings, site.spool, site.clock(), surroundings=surroundings)
        return JSONResponse(status_dict(view))


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
        if request.url.path.startswith(("/api/", "/healthz", ROOT_PATH)):
            return JSONResponse({"status": "failed", "detail": sentence}, code)
        if request.url.path.startswith(("/images/", "/static/", "/events")):
            return PlainTextResponse(f"{sentence}\n", code)
        return self.site.render(request, "problem.html", {"sentence": sentence, "now": self.site.clock()}, code)
