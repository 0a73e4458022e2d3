"""What every resource of the API needs to know of a request: the box, who asks, how much at once, and from where on."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Final

from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from appliance.web.api.problems import Refused
from appliance.web.people import Person, Role
from appliance.web.site import Site

MOST_ROWS: Final = 200
#: However few of them fit the filters, one answer looks at no more rows than this.
MOST_LOOKED_AT: Final = 2000
LARGEST_NUMBER: Final = 2**63 - 1  # of SQLite

#: A moment and what tells apart things of the same moment.
Place = tuple[float, str]
_PLACE: Final = TypeAdapter(tuple[float, str])


def site_of(request: Request) -> Site:
    """The box this application answers for."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def monitor(request: Request) -> Person:
    """Whoever asks, if they may know how the box is. Raises HTTPException."""
    return site_of(request).person(request, Role.MONITOR)


def viewer(request: Request) -> Person:
    """Whoever asks, if they may look. Raises HTTPException."""
    return site_of(request).person(request, Role.VIEWER)


def operator(request: Request) -> Person:
    """Whoever asks, if they may change deliveries. Raises HTTPException."""
    return site_of(request).person(request, Role.OPERATOR)


def acknowledger(request: Request) -> Person:
    """Whoever asks, if they may say that a notice was read: everybody who may look. Raises HTTPException."""
    return site_of(request).person(request, Role.VIEWER)


AtSite = Annotated[Site, Depends(site_of)]
Monitor = Annotated[Person, Depends(monitor)]
Viewer = Annotated[Person, Depends(viewer)]
Operator = Annotated[Person, Depends(operator)]
Acknowledger = Annotated[Person, Depends(acknowledger)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="how many at most")]
Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next_cursor` of the answer before, to go on where it ended; nothing else"),
]
Moment = Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False, description="seconds since 1970-01-01 UTC")]


def cursor_of(place: Place) -> str:
    """The cursor that goes on after ``place``."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> Place | None:
    """Where a cursor goes on; None at the beginning. Raises Refused for what is no cursor of ours."""
    if cursor is None:
        return None
    try:
        found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        at, name = _PLACE.validate_json(found)
    except (ValueError, ValidationError):
        raise Refused(422, "This is no cursor of this box.", "Leave it out to begin at the start.") from None
    if at != at or abs(at) > 1e15:
        raise Refused(422, "This is no cursor of this box.", "Leave it out to begin at the start.")
    return at, name
