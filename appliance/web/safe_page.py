"""The page of a box that has no configuration to run with: what is wrong, where, and how it is mended."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from appliance.settings import Page, Settings
from appliance.start.standing import STANDING_VARIABLE, read_standing
from appliance.supervisor import stop_event
from appliance.web.headers import GuardedAnswers
from appliance.web.language import Speaking
from appliance.web.pages import FOLDER, make_templates
from store_forward.http_connections import TimedConnection

_LATER = {"Retry-After": "10"}


def build_safe_app(standing_path: Path) -> Starlette:
    """Every address answers 503 with the same page, machines with JSON; nothing can be changed here."""
    shown_at = Page(host=read_standing(standing_path).page_host)
    page = _SafePage(standing_path, make_templates(Settings()))
    return Starlette(
        routes=[
            Route("/healthz", page.health),
            Route("/readyz", page.readiness),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
            Route("/{path:path}", page.answer, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(GuardedAnswers, page=shown_at), Middleware(Speaking)],
    )


def serve_safe_page() -> None:
    """Serve it until SIGTERM or the end of the supervisor, which has said in the environment what there is to show."""
    stop, standing_path = stop_event(), Path(os.environ[STANDING_VARIABLE])
    standing = read_standing(standing_path)
    app = build_safe_app(standing_path)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            standing.page_host,
            standing.page_port,
            http=TimedConnection,
            log_level="warning",
            timeout_graceful_shutdown=1,
        )
    )
    threading.Thread(target=_end, args=(server, stop), daemon=True).start()
    server.run()


def _end(server: uvicorn.Server, stop: threading.Event) -> None:
    stop.wait()
    server.should_exit = True


@dataclass(frozen=True)
class _SafePage:
    standing_path: Path
    templates: Environment

    def answer(self, request: Request) -> Response:
        standing = read_standing(self.standing_path)
        if request.url.path.startswith(("/api/", "/dicom-web")):
            return JSONResponse({"status": "failed", "detail": "The box is in safe mode."}, 503, _LATER)
        html = self.templates.get_template("safe.html").render(standing=standing)
        return HTMLResponse(html, 503, _LATER)

    def health(self, _request: Request) -> Response:
        refused = read_standing(self.standing_path).refused
        words = [f"{one.key}: {one.reason}" if one.key else one.reason for one in refused]
        return JSONResponse({"status": "degraded", "safe_mode": True, "configuration": words}, 503, _LATER)

    def readiness(self, _request: Request) -> Response:
        return JSONResponse({"status": "not ready", "safe_mode": True}, 503, _LATER)
