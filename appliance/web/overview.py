"""The worklist, and the notices that stand at the head of every page."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from appliance.audit.events import searched
from appliance.messages import acknowledge
from appliance.web.language import gettext as _
from appliance.web.listing import SHOWN, Place, WorklistRequest
from appliance.web.people import Role, address_of
from appliance.web.search import LONGEST_SEARCH
from appliance.web.site import Site, Values
from appliance.web.views import box_state
from appliance.web.worklist import worklist

_LONGEST_VALUE = 64


def overview_routes(site: Site) -> list[Route]:
    """Worklist, and what can be done there."""

    def latest(request: Request, conn: Connection) -> Values:
        asked, sees_patients = read_request(request.query_params), site.person(request).sees_patients
        state = box_state(conn, site.settings, site.spool, site.clock(), site.watch.surroundings())
        return {"view": vars(state) | {"worklist": worklist(conn, asked, sees_patients)}, "now": state.now}

    def acknowledged(request: Request, conn: Connection) -> str:
        if not acknowledge(conn, request.path_params["seq"], site.clock()):
            raise HTTPException(404, _("There is no such notice on this box."))
        return "/"

    def seen(request: Request) -> None:
        asked = read_request(request.query_params)
        if asked.search and asked.first_page:
            site.note(searched(site.who(request), address_of(request), "worklist"))

    return [
        *site.page("/", "worklist", latest, seen=seen),
        site.action("/notices/{seq:int}/acknowledge", acknowledged, Role.VIEWER),
    ]


def read_request(asked: Mapping[str, str]) -> WorklistRequest:
    """The worklist asked for by a query string; what makes no sense is read as not said."""
    show = asked.get("show", "all")
    values = {name: asked.get(name, "")[:_LONGEST_VALUE] for name in ("modality", "scanner", "pack", "since", "until")}
    return WorklistRequest(
        order="arrival" if asked.get("order") == "arrival" else "urgency",
        show=show if show in SHOWN else "all",
        search=" ".join(asked.get("search", "")[:LONGEST_SEARCH].split()),
        **values,
        after=Place.read(asked.get("after", "")),
        before=Place.read(asked.get("before", "")),
        last=bool(asked.get("last")),
    )
