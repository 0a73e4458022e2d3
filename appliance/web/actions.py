"""What a person does with a study on its page; each is kept in its history with who did it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, quote

import anyio.to_thread
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.labels import CannotLabel, keep_label
from appliance.triage.by_person import Hindrance, NotNow, escalate_now, rerun, resend
from appliance.web.language import gettext as _
from appliance.web.language import later
from appliance.web.people import Role
from appliance.web.site import Site

#: Why not, and what to do instead.
WHY_NOT: Final = {
    Hindrance.UNKNOWN: later("There is no study with this UID on this box."),
    Hindrance.UNDER_WAY: later("The study is being received or read; ask again when it is decided."),
    Hindrance.DELETED: later("Its images are no longer on this box; send them again from their source."),
    Hindrance.DAMAGED: later("One of its images is missing or damaged; run scanside check, then send it again."),
    Hindrance.NO_CLOUD: later("No cloud is configured on this box; set cloud.url."),
    Hindrance.ANSWERED: later("The full model has already answered for these images."),
    Hindrance.ASKED_ALREADY: later("It has been asked for already and is on its way."),
    Hindrance.NOTHING_TO_SEND: later("This study has no results for that destination."),
    Hindrance.RESULT_GONE: later("The result is no longer on this box; have the study read again."),
}

_LONGEST_FORM: Final = 16_384

Act = Callable[[Connection, str, dict[str, str], str, float], None]


def action_routes(site: Site) -> list[Route]:
    """The forms of a study's page, for operators."""

    def label(conn: Connection, uid: str, form: dict[str, str], person: str, now: float) -> None:
        keep_label(conn, uid, form.get("decision", ""), form.get("finding", ""), person, now)

    def again(conn: Connection, uid: str, _form: dict[str, str], person: str, now: float) -> None:
        rerun(conn, site.spool, uid, person, now)

    def escalate(conn: Connection, uid: str, _form: dict[str, str], person: str, now: float) -> None:
        escalate_now(conn, uid, site.settings.cloud.url is not None, person, now)

    def send(conn: Connection, uid: str, form: dict[str, str], person: str, now: float) -> None:
        resend(conn, site.spool, uid, form.get("destination", ""), person, now)

    acts: dict[str, Act] = {"label": label, "rerun": again, "escalate": escalate, "resend": send}
    return [_route(site, name, act) for name, act in acts.items()]


def _route(site: Site, name: str, act: Act) -> Route:
    def carried_out(request: Request, conn: Connection) -> str:
        uid = request.path_params["uid"]
        person = site.person(request, Role.OPERATOR)
        try:
            act(conn, uid, request.state.form, person.name, site.clock())
        except NotNow as hindered:
            raise HTTPException(409, _(WHY_NOT[hindered.why])) from None
        except CannotLabel:
            raise HTTPException(400, _("This cannot be kept as a label of this study; choose from the list.")) from None
        return f"/studies/{quote(uid, safe='')}"

    path = f"/studies/{{uid:path}}/{name}"
    inner = site.action(path, carried_out, Role.OPERATOR)

    async def endpoint(request: Request) -> Response:
        request.state.form = await _form(request)
        answer: Response = await anyio.to_thread.run_sync(inner.endpoint, request)
        return answer

    return Route(path, endpoint, methods=["POST"])


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form. Raises HTTPException 413."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM:
            raise HTTPException(413, _("This form is sent from the status page itself."))
    return {key: values[-1] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
