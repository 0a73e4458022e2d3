"""The pages that show the state of the box: worklist, link and box."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from appliance.messages import acknowledge
from appliance.web.language import gettext as _
from appliance.web.people import Role
from appliance.web.site import Site, Values
from appliance.web.views import status
from appliance.web.worklist import SHOWN, WorklistRequest


def overview_routes(site: Site) -> list[Route]:
    """Worklist, link and box, and what can be done there."""

    def state(read: Callable[[Request], WorklistRequest] | None = None) -> Callable[[Request, Connection], Values]:
        def view(request: Request, conn: Connection) -> Values:
            asked = read(request) if read else None
            around = site.watch.surroundings()
            seen = status(conn, site.settings, site.spool, site.clock(), request=asked, surroundings=around)
            return {"view": seen, "now": seen.now}

        return view

    def acknowledged(request: Request, conn: Connection) -> str:
        if not acknowledge(conn, request.path_params["seq"], site.clock()):
            raise HTTPException(404, _("There is no such notice on this box."))
        return "/"

    return [
        *site.page("/", "worklist", state(read_request)),
        *site.page("/link", "link", state()),
        *site.page("/box", "box", state()),
        site.action("/notices/{seq:int}/acknowledge", acknowledged, Role.VIEWER),
    ]


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
