"""The set-up page: peers and destinations with a test button, certificates, and the configuration in force."""

from __future__ import annotations

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from appliance.certificates import certificate_states
from appliance.configuration_shown import as_toml, found_in, settings_shown
from appliance.results.probe import targets
from appliance.results.probe_book import begin, start
from appliance.start.standing import STANDING, read_standing
from appliance.web.language import gettext as _
from appliance.web.people import Role
from appliance.web.setup_view import SendersHeard, certificate_views, other_senders, peer_views, target_views
from appliance.web.site import Site, Values

_LONGEST_SEARCH = 100


def setup_routes(site: Site) -> list[Route]:
    """The page, its test buttons, and the configuration with its download."""
    settings, heard_by = site.settings, SendersHeard(site.clock)

    def view(_request: Request, conn: Connection) -> Values:
        now, heard = site.clock(), heard_by.by_title(conn)
        return {
            "standing": read_standing(settings.home / STANDING),
            "peers": peer_views(conn, settings, heard),
            "others": other_senders(settings, heard),
            "is_open": settings.dicom.is_open,
            "targets": target_views(conn, settings),
            "certificates": certificate_views(certificate_states(settings), now),
        }

    def test(request: Request, conn: Connection) -> str:
        target = request.path_params["target"]
        if target not in targets(settings):
            raise HTTPException(404, _("There is no such destination."))
        number = begin(conn, target, site.person(request, Role.OPERATOR).name, site.clock())
        if number is None:
            raise HTTPException(409, _("It is being tested already, or too many tests run; try again in a moment."))
        start(settings, site.engine, number, target, site.clock)
        return "/setup"

    def configuration(request: Request) -> Response:
        site.person(request, Role.OPERATOR)
        find = request.query_params.get("find", "")[:_LONGEST_SEARCH]
        shown = settings_shown(settings)
        values = {
            "standing": read_standing(settings.home / STANDING),
            "found": found_in(shown, find),
            "number": len(shown),
            "find": find,
            "now": site.clock(),
        }
        return site.render(request, "setup_configuration.html", values)

    def download(request: Request) -> Response:
        site.person(request, Role.OPERATOR)
        name = 'attachment; filename="scanside-in-force.toml"'
        return PlainTextResponse(
            as_toml(settings), media_type="application/toml", headers={"Content-Disposition": name}
        )

    return [
        *site.page("/setup", "setup", view, Role.OPERATOR),
        site.action("/setup/test/{target}", test, Role.OPERATOR),
        Route("/setup/configuration", configuration),
        Route("/setup/configuration.toml", download),
    ]
