"""The status page's server: routes, and nothing that decides."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from jinja2 import Environment
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from appliance.dicomweb.service import dicomweb_mount
from appliance.dicomweb.words import ROOT_PATH
from appliance.messages import acknowledge
from appliance.settings import Settings
from appliance.standby.endpoint import PulseEndpoint
from appliance.standby.keeper import standby_token
from appliance.standby.words import PULSE_PATH
from appliance.web.box import process_views
from appliance.web.headers import GuardedAnswers
from appliance.web.live import Watch, changes
from appliance.web.pages import FOLDER, make_templates
from appliance.web.study import refers_to, study_view
from appliance.web.views import status, status_dict
from appliance.web.worklist import SHOWN, WorklistRequest
from store_forward.database import reading, writing
from store_forward.spool import DIGEST, Spool

#: How many browsers may watch at the same time; one more is told to come back later.
MOST_WATCHERS = 64
_PNG = b"\x89PNG\r\n\x1a\n"


def build_app(settings: Settings, engine: Engine, spool: Spool, clock: Callable[[], float] = time.time) -> Starlette:
    """The page as an ASGI application over the box's database and spool; ``clock`` gives epoch seconds."""
    watch = Watch(settings, engine, spool, clock)
    pulse = PulseEndpoint(settings, engine, standby_token(settings), clock)
    site = _Site(settings, engine, spool, clock, make_templates(settings), watch)
    return Starlette(
        routes=[
            Route("/", site.overview),
            Route("/fragments/overview", site.overview_fragment),
            Route("/studies/{uid:path}", site.study),
            Route("/fragments/studies/{uid:path}", site.study_fragment),
            Route("/images/{digest}", site.image),
            Route("/events", site.events),
            Route("/notices/{seq:int}/acknowledge", site.acknowledge, methods=["POST"]),
            Route("/healthz", site.healthz),
            Route("/api/status", site.api_status),
            Route(PULSE_PATH, pulse.answer, methods=["POST"]),
            dicomweb_mount(settings, engine, spool, clock),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[Middleware(GuardedAnswers, listens_on=settings.page.host)],
        exception_handlers={HTTPException: site.problem, DatabaseError: site.database_problem},
    )


@dataclass
class _Site:
    settings: Settings
    engine: Engine
    spool: Spool
    clock: Callable[[], float]
    templates: Environment
    watch: Watch
    watchers: int = field(default=0)

    def overview(self, request: Request) -> Response:
        return self._render("overview.html", self._overview(request))

    def overview_fragment(self, request: Request) -> Response:
        return self._render("overview_fragment.html", self._overview(request))

    def _overview(self, request: Request) -> dict[str, Any]:
        digest = self.watch.digest()  # taken first: a change in between is then fetched again, never missed
        surroundings = self.watch.surroundings()
        asked = read_request(request)
        with reading(self.engine) as conn:
            view = status(conn, self.settings, self.spool, self.clock(), request=asked, surroundings=surroundings)
        return {"view": view, "now": view.now, "digest": digest}

    def study(self, request: Request) -> Response:
        return self._render("study.html", self._study(request))

    def study_fragment(self, request: Request) -> Response:
        return self._render("study_fragment.html", self._study(request))

    def _study(self, request: Request) -> dict[str, Any]:
        digest = self.watch.digest()
        with reading(self.engine) as conn:
            view = study_view(conn, request.path_params["uid"], self.settings.page.show_patient)
        if view is None:
            raise HTTPException(404, "There is no study with this UID on this box.")
        return {"study": view, "now": self.clock(), "digest": digest}

    def image(self, request: Request) -> Response:
        """A picture of the study that ``?study=`` names: by the study's key, as digests have no index."""
        digest, uid = request.path_params["digest"], request.query_params.get("study", "")
        if DIGEST.fullmatch(digest) is None:
            raise HTTPException(404, "There is no such picture.")
        with reading(self.engine) as conn:
            known = refers_to(conn, uid, digest)
        path = self.spool.path(digest)
        if not known or not _is_png(path):
            raise HTTPException(404, "There is no such picture.")
        kept = {"Cache-Control": "private, max-age=3600, immutable"}
        return FileResponse(path, media_type="image/png", headers=kept)

    def acknowledge(self, request: Request) -> Response:
        """A person has read a notice. Taken only from this page itself: no foreign site can send the form."""
        headers = request.headers
        if urlsplit(headers.get("origin", "")).netloc != headers.get("host"):
            raise HTTPException(403, "This form is sent from the status page itself.")
        with writing(self.engine) as conn:
            known = acknowledge(conn, request.path_params["seq"], self.clock())
        if not known:
            raise HTTPException(404, "There is no such notice on this box.")
        return RedirectResponse("/", 303)

    async def events(self, _request: Request) -> Response:
        if self.watchers >= MOST_WATCHERS:
            raise HTTPException(503, "Too many browsers are watching; this page does not update by itself.")
        return EventSourceResponse(self._watched(), headers={"Cache-Control": "no-store"})

    async def _watched(self) -> AsyncIterator[ServerSentEvent]:
        self.watchers += 1
        try:
            async for change in changes(lambda: anyio.to_thread.run_sync(self.watch.digest), anyio.sleep):
                yield change
        finally:
            self.watchers -= 1

    def healthz(self, _request: Request) -> Response:
        """200 while the database can be read and every process reports; else 503 with what is wrong."""
        with reading(self.engine) as conn:
            silent = [one.name for one in process_views(conn, self.clock()) if one.silent]
        state = {"status": "degraded" if silent else "ok", "silent": silent}
        return JSONResponse(state, 503 if silent else 200)

    def api_status(self, _request: Request) -> Response:
        surroundings = self.watch.surroundings()
        with reading(self.engine) as conn:
            view = status(conn, self.settings, self.spool, self.clock(), surroundings=surroundings)
        return JSONResponse(status_dict(view))

    def problem(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = self._failure(request, error.status_code, error.detail)
        answer.headers.update(error.headers or {})
        return answer

    def database_problem(self, request: Request, _error: Exception) -> Response:
        return self._failure(
            request,
            503,
            "The box's database cannot be read at the moment. Images already sent are safe in the spool.",
        )

    def _failure(self, request: Request, code: int, sentence: str) -> Response:
        if request.url.path.startswith(("/api/", "/healthz", ROOT_PATH)):
            return JSONResponse({"status": "failed", "detail": sentence}, code)
        if request.url.path.startswith(("/images/", "/static/", "/events")):
            return PlainTextResponse(f"{sentence}\n", code)
        return self._render("problem.html", {"sentence": sentence, "now": self.clock()}, code)

    def _render(self, template: str, values: dict[str, Any], code: int = 200) -> Response:
        return HTMLResponse(self.templates.get_template(template).render(values), code)


def read_request(request: Request) -> WorklistRequest:
    """The worklist asked for by a query string; what makes no sense is read as not said."""
    asked = request.query_params
    show = asked.get("show", "all")
    try:
        page = max(int(asked.get("page", "1")), 1)
        before = float(asked["before"]) if "before" in asked else None
    except ValueError:
        page, before = 1, None
    return WorklistRequest(
        order="arrival" if asked.get("order") == "arrival" else "urgency",
        show=show if show in SHOWN else "all",
        page=page,
        before=before,
        before_uid=asked.get("before_uid", ""),
    )


def _is_png(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_PNG)) == _PNG
    except FileNotFoundError:
        return False
