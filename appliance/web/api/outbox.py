"""``/v1/outbox``: what waits for which destination, and what ``scanside outbox`` does with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from appliance.commands.outbox import SHOWN, NoSuchDelivery, park_deliveries, retry_deliveries, show_delivery
from appliance.standby.view import holds
from appliance.web.api.answers import Delivery, DeliveryPage, Lanes, Moved, WholeDelivery
from appliance.web.api.asking import LARGEST_NUMBER, AtSite, Cursor, Limit, Operator, Viewer, cursor_of, place_of
from appliance.web.api.delivery_pages import page_of
from appliance.web.api.problems import Refused, documented
from appliance.web.deliveries import destination_views
from appliance.web.site import Site
from store_forward.database import reading
from store_forward.deliveries import DeliveryState
from store_forward.selection import Selection, destination_names, events_of

router = APIRouter(prefix="/v1/outbox", tags=["outbox"])

MOST_NUMBERS = 500
#: Of a delivery that has been tried for weeks, the latest events.
MOST_EVENTS = 500

Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER, description="of the delivery")]
Destination = Annotated[str | None, Query(max_length=64, description="only what goes there")]
State = Annotated[DeliveryState | None, Query(description="only those that stand there")]
Cause = Annotated[str | None, Query(max_length=64, description="only what has this cause")]


class Which(BaseModel):
    """Which deliveries are meant: what is given must all be fulfilled. ``all`` stands alone."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]] = Field(default_factory=list, max_length=MOST_NUMBERS)
    destination: str | None = Field(default=None, max_length=64)
    state: DeliveryState | None = None
    cause: str | None = Field(default=None, max_length=64)
    older_than_s: float | None = Field(default=None, ge=0, le=1e10, allow_inf_nan=False)
    all: bool = Field(default=False, description="every delivery; nobody moves all of them by leaving something out")

    @model_validator(mode="after")
    def _choice(self) -> Which:
        narrowed = bool(self.ids) or (self.destination, self.state, self.cause, self.older_than_s) != (None,) * 4
        if narrowed == self.all:
            raise ValueError("say which: ids or a filter, or all = true alone for every one")
        return self

    def selection(self, now: float) -> Selection:
        """The same as the outbox takes it."""
        before = now - self.older_than_s if self.older_than_s is not None else None
        return Selection(tuple(self.ids), self.destination, self.state, self.cause, before)


@router.get("/lanes", responses=documented(401, 403, 503))
def list_lanes(site: AtSite, _person: Viewer) -> Lanes:
    """Every destination: its link, since when, and what waits for it."""
    with reading(site.engine) as conn:
        return Lanes(lanes=list(destination_views(conn, site.settings)))


@router.get("/deliveries", responses=documented(401, 403, 422, 503))
def list_deliveries(
    site: AtSite,
    _person: Viewer,
    destination: Destination = None,
    state: State = None,
    cause: Cause = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DeliveryPage:
    """Deliveries in the order in which they were asked for."""
    wanted, after = Selection(destination=destination, state=state, cause=cause), place_of(cursor)
    with reading(site.engine) as conn:
        held = holds(conn)
        rows, following = page_of(conn, wanted, limit, after, SHOWN)
    listed = [Delivery.model_validate(row | {"held": held and row["state"] == "waiting"}) for row in rows]
    return DeliveryPage(deliveries=listed, next_cursor=cursor_of(following) if following else None)


@router.get("/deliveries/{number}", responses=documented(401, 403, 404, 422, 503))
def read_delivery(site: AtSite, _person: Viewer, number: Number) -> WholeDelivery:
    """One delivery with its history."""
    try:
        found = show_delivery(site.engine, number)
    except NoSuchDelivery:
        raise _unknown([number]) from None
    with reading(site.engine) as conn:
        held = holds(conn) and found["state"] == "waiting"
    return WholeDelivery.model_validate(found | {"held": held, "events": found["events"][-MOST_EVENTS:]})


_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One delivery with its history a line, as JSON.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


@router.get(
    "/export",
    response_class=Response,
    responses=_LINES | documented(401, 403, 422, 503),
)
def export_deliveries(
    site: AtSite,
    _person: Viewer,
    destination: Destination = None,
    state: State = None,
    cause: Cause = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Deliveries with their history, for a ticket to whoever runs the far side.

    The next page is named by the header `Link` (`rel="next"`, RFC 8288); there is none at the end.
    """
    wanted, after = Selection(destination=destination, state=state, cause=cause), place_of(cursor)
    with reading(site.engine) as conn:
        rows, following = page_of(conn, wanted, limit, after, SHOWN)
        told = [row | {"events": [dict(one) for one in events_of(conn, row["id"])[-MOST_EVENTS:]]} for row in rows]
    headers = {"Link": f'<?cursor={cursor_of(following)}>; rel="next"'} if following else {}
    return Response("".join(_lines(told)), headers=headers, media_type="application/x-ndjson")


@router.post("/retry", responses=documented(401, 403, 404, 422, 503))
def retry(site: AtSite, _person: Operator, which: Which) -> Moved:
    """Make parked and waiting ones due now, in their old place."""
    return _move(site, which, retry_deliveries)


@router.post("/park", responses=documented(401, 403, 404, 422, 503))
def park(site: AtSite, _person: Operator, which: Which) -> Moved:
    """Set waiting ones and those under way aside until somebody retries them."""
    return _move(site, which, park_deliveries)


def _move(site: Site, which: Which, act: Any) -> Moved:
    _require_destination(site, which.destination)
    try:
        moved, left = act(site.engine, which.selection(site.clock()))
    except NoSuchDelivery as unknown:
        raise Refused(404, str(unknown).partition(";")[0], "Nothing was moved. Leave unknown numbers out.") from None
    return Moved(moved=moved, left=left)


def _require_destination(site: Site, name: str | None) -> None:
    """A name that is neither configured nor in the outbox is a slip of the pen."""
    if name is None:
        return
    own = site.settings
    known = {"cloud", *(one.name for one in own.pacs), *(one.name for one in own.stow)}
    known |= {one.name for one in own.webhook}
    with reading(site.engine) as conn:
        known |= set(destination_names(conn))
    if name not in known:
        raise Refused(404, f"There is no destination {name!r}.", "Take one that /api/v1/outbox/lanes names.")


def _unknown(numbers: list[int]) -> Refused:
    shown = ", ".join(map(str, numbers))
    return Refused(404, f"There is no delivery {shown}.", "Look it up in /api/v1/outbox/deliveries.")


def _lines(told: list[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(one, ensure_ascii=True) + "\n" for one in told)
