"""What every page is made with: the box's state, the templates, and who may open what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from jinja2 import Environment
from sqlalchemy import Connection, Engine
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from appliance.audit.events import AuditEvent, viewed
from appliance.audit.kept import note, patient_of
from appliance.labels import NOBODY
from appliance.settings import Settings
from appliance.web.language import gettext as _
from appliance.web.language import language, later
from appliance.web.live import Watch
from appliance.web.people import Person, Role, address_of, person_of, visit_of
from appliance.web.rendered import Rendered
from store_forward.database import reading, writing
from store_forward.spool import Spool

#: The pages a person goes to from anywhere: path, name, and the role that opens it.
PLACES = (
    ("/", later("Worklist"), Role.VIEWER),
    ("/link", later("Link"), Role.VIEWER),
    ("/box", later("Box"), Role.VIEWER),
    ("/quality", later("Quality"), Role.VIEWER),
    ("/setup", later("Set-up"), Role.OPERATOR),
    ("/users", later("Users"), Role.ADMINISTRATOR),
)

Values = dict[str, Any]


@dataclass
class Site:
    """The page's server over one box; ``clock`` gives epoch seconds."""

    settings: Settings
    engine: Engine
    spool: Spool
    clock: Callable[[], float]
    templates: Environment
    watch: Watch
    rendered: Rendered = field(default_factory=Rendered)

    def page(
        self,
        path: str,
        name: str,
        view: Callable[[Request, Connection], Values],
        role: Role = Role.VIEWER,
        seen: Callable[[Request], None] = lambda _request: None,
    ) -> list[Route]:
        """A live page: ``NAME.html``, and at ``/fragments/…`` the ``NAME_fragment.html`` inside that is fetched anew.

        ``view`` reads what both show, in one transaction. A fragment is rendered once for a state of the box and a
        person, however many pages are open. ``seen`` is told of a page that was opened, not of what it fetches anew.
        """

        def made(request: Request, template: str, digest: str) -> str:
            with reading(self.engine) as conn:
                values = view(request, conn)
            return self._html(request, template, {"now": self.clock(), "digest": digest, **values})

        def whole(request: Request) -> Response:
            self.person(request, role)
            digest = self.watch.digest()  # taken first: a change in between is then fetched again, never missed
            html = made(request, f"{name}.html", digest)
            seen(request)
            return HTMLResponse(html)

        def fragment(request: Request) -> Response:
            person, digest = self.person(request, role), self.watch.digest()
            key = (request.url.path, request.url.query, person, language())
            html = self.rendered.get(key, digest, lambda: made(request, f"{name}_fragment.html", digest))
            return HTMLResponse(html)

        return [Route(path, whole), Route(f"/fragments{path}", fragment)]

    def action(self, path: str, act: Callable[[Request, Connection], str], role: Role = Role.OPERATOR) -> Route:
        """What a form of the page asks for, in one transaction; ``act`` returns where the browser goes then.

        That the page itself sent it, the entrance has seen to; :func:`appliance.web.forms.form_of` has its fields.
        """

        def endpoint(request: Request) -> Response:
            self.person(request, role)
            with writing(self.engine) as conn:
                place = act(request, conn)
            return RedirectResponse(place, 303)

        return Route(path, endpoint, methods=["POST"])

    def note(self, event: AuditEvent) -> None:
        """Put into the audit trail what was only looked at."""
        note(self.engine, event, self.clock())

    def note_look(self, request: Request, study_instance_uid: str, where: str) -> None:
        """Put into the audit trail that whoever asks has looked at a study."""
        with reading(self.engine) as conn:
            patient_id = patient_of(conn, study_instance_uid)
        self.note(viewed(self.who(request), address_of(request), study_instance_uid, patient_id, where))

    def who(self, request: Request) -> str:
        """The name of whoever asks, as the audit trail has it."""
        return person_of(request).name or NOBODY

    def person(self, request: Request, role: Role = Role.VIEWER) -> Person:
        """Whoever asks. Raises HTTPException 403 when this needs another role."""
        person = person_of(request)
        if not person.may(role):
            raise HTTPException(403, _("This is not open to your role."))
        return person

    def render(self, request: Request, template: str, values: Values, code: int = 200) -> Response:
        """A template as the answer; who asks and where is known to each."""
        return HTMLResponse(self._html(request, template, values), code)

    def _html(self, request: Request, template: str, values: Values) -> str:
        visit = visit_of(request)
        path, query = quote(request.scope["path"]), request.url.query
        known = {
            "person": visit.person,
            "places": [(place, name) for place, name, role in PLACES if visit.person.may(role)],
            "path": path,
            "query": f"?{query}" if query else "",
            "here": _here(request, path),
            "signed_in": visit.session is not None,
            "without_users": visit.without_users,
        }
        return self.templates.get_template(template).render({**known, **values})


def _here(request: Request, path: str) -> str:
    """Where a browser comes back to this page; the answer to a form belongs to the page at the head of its path."""
    if request.method not in ("GET", "HEAD"):
        return "/" + path.split("/")[1]
    return f"{path}?{request.url.query}" if request.url.query else path
