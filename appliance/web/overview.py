"""The pages that show where studies and deliveries stand: worklist and link."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from appliance.messages import acknowledge
from appliance.web.deliveries import destination_views, parked_deliveries
from appliance.web.language import gettext as _
from appliance.web.people import Role
from appliance.web.site import Site, Values
from appliance.web.views import box_state
from appliance.web.worklist import SHOWN, WorklistRequest, worklist


def overview_routes(site: Site) -> list[Route]:
    """Worklist and link, and what can be done there."""

    def shown(conn: Connection, **more: object) -> Values:
        state = box_state(conn, site.settings, site.spool, site.clock(), site.watch.surroundings())
        return {"view": vars(state) | more, "now": state.now}

    def latest(request: Request, conn: Connection) -> Values:
        show_patient = site.person(request).sees_patients
        return shown(conn, worklist=worklist(conn, read_request(request), show_patient))

    def link(_request: Request, conn: Connection) -> Values:
        names = [one.name for one in destination_views(conn, site.settings)]
        return shown(conn, parked=parked_deliveries(conn, names))

    def acknowledged(request: Request, conn: Connection) -> str:
        if not acknowledge(conn, request.path_params["seq"], site.clock()):
            raise HTTPException(404, _("There is no such notice on this box."))
        return "/"

    return [
        *site.page("/", "worklist", latest),
        *site.page("/link", "link", link),
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
