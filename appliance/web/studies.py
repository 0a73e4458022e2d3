"""The page of one study, and its pictures."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.web.actions import action_routes
from appliance.web.export import export_routes
from appliance.web.language import gettext as _
from appliance.web.people import Role
from appliance.web.sent_results import result_routes
from appliance.web.site import Site, Values
from appliance.web.study import refers_to, study_view
from appliance.web.viewing import readers_of, viewing_routes
from store_forward.database import reading
from store_forward.spool import DIGEST

_PNG = b"\x89PNG\r\n\x1a\n"


def study_routes(site: Site) -> list[Route]:
    """A study's page and the pictures it names."""
    readers = readers_of(site)

    def study(request: Request, conn: Connection) -> Values:
        view = study_view(conn, request.path_params["uid"], site.person(request).sees_patients)
        if view is None:
            raise HTTPException(404, _("There is no study with this UID on this box."))
        person = site.person(request)
        may_act = person.may(Role.OPERATOR)
        return {"study": view, "may_act": may_act, "may_export": may_act and person.sees_patients}

    def image(request: Request) -> Response:
        """A picture of the study that ``?study=`` names: by the study's key, as digests have no index."""
        site.person(request)
        digest, uid = request.path_params["digest"], request.query_params.get("study", "")
        if DIGEST.fullmatch(digest) is None:
            raise HTTPException(404, _("There is no such picture."))
        with reading(site.engine) as conn:
            known = refers_to(conn, uid, digest)
        path = site.spool.file(digest)
        if not known or not _is_png(path):
            raise HTTPException(404, _("There is no such picture."))
        kept = {"Cache-Control": "private, max-age=3600, immutable"}
        return Response(path.read_bytes(), media_type="image/png", headers=kept)

    def seen(request: Request) -> None:
        site.note_look(request, request.path_params["uid"], "study page")

    return [
        *viewing_routes(site, readers),
        *action_routes(site),
        *result_routes(site, readers),
        *export_routes(site, readers),
        *site.page("/studies/{uid:path}", "study", study, seen=seen),
        Route("/images/{digest}", image),
    ]


def _is_png(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_PNG)) == _PNG
    except FileNotFoundError:
        return False
