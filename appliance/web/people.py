"""Who looks at the page: what the entrance has found out about a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from appliance.people.roles import STRANGER, Person, Role
from appliance.people.sessions import Session

__all__ = ["Person", "Role", "Visit", "address_of", "person_of", "set_visit", "visit_of"]

_KEY: Final = "scanside.visit"


@dataclass(frozen=True)
class Visit:
    """Who asks, and how that is known.

    ``session`` is None where nobody has signed in. ``by_token``: a program has shown an API token, so no browser was
    made to send it. ``without_users``: there are none, so everybody is the same.
    """

    person: Person
    session: Session | None = None
    by_token: bool = False
    without_users: bool = False


def visit_of(request: HTTPConnection) -> Visit:
    """What is known of who asks; a stranger where nobody has looked."""
    found = request.scope.get(_KEY)
    return found if isinstance(found, Visit) else Visit(STRANGER)


def set_visit(request: HTTPConnection, visit: Visit) -> None:
    """Note for this request who asks."""
    request.scope[_KEY] = visit


def person_of(request: HTTPConnection) -> Person:
    """Whoever asks."""
    return visit_of(request).person


def address_of(request: HTTPConnection) -> str:
    """Where the browser is, as far as we can tell."""
    return request.client.host if request.client is not None else ""
