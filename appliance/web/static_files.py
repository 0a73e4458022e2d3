"""Style and scripts: compressed on the way, and kept by the browser for as long as their address names a version."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

KEPT: Final = "private, max-age=31536000, immutable"


class VersionedFiles(StaticFiles):
    """What is asked for with ``?v=`` has another address as soon as it has other bytes."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file."""
        answer = await super().get_response(path, scope)
        if "v" in QueryParams(scope.get("query_string", b"")) and answer.status_code < 400:
            answer.headers["Cache-Control"] = KEPT
        return answer


def static_mount(folder: Path) -> Mount:
    """Everything below ``/static``."""
    return Mount("/static", VersionedFiles(directory=folder), middleware=[Middleware(GZipMiddleware)])
