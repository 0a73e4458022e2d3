"""The API as one application, mounted at ``/api``, with the OpenAPI description that is made from it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI
from starlette.routing import Mount

from appliance.web.api import machine, outbox, studies
from appliance.web.api.problems import Problem, answer_with_problems
from appliance.web.site import Site

API_PATH: Final = "/api"
_DESCRIPTION: Final = """\
What the box's page shows, for programs. **Research use only. Not for diagnosis.**

The version stands in the path: what is below `/api/v1` only grows. `/api/status` is what `scanside status --json`
prints. Times are seconds since 1970-01-01 UTC, sizes bytes, probabilities 0 to 1. Every failure is a problem document
(RFC 9457) with a `repair`. Lists come in pages of at most 200; `next_cursor` goes on.
"""


def api_app(site: Site) -> FastAPI:
    """The API over one box."""
    app = FastAPI(
        title="Scanside",
        version=version("scanside"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        servers=[{"url": API_PATH}],
        root_path_in_servers=False,
    )
    app.state.site = site
    for resource in (machine.router, studies.router, outbox.router):
        app.include_router(resource)
    answer_with_problems(app)
    made = app.openapi

    def described() -> dict[str, Any]:
        description = made()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = description.setdefault("components", {}).setdefault("schemas", {})
        parts |= schema.pop("$defs", {}) | {"Problem": schema}
        return description

    app.openapi = described  # type: ignore[method-assign]
    return app


def api_mount(site: Site) -> Mount:
    """The API for the page's application."""
    return Mount(API_PATH, api_app(site))
