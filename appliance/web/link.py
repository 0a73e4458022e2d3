"""The page of the links and the outbox, and what a person can do there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Connection, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from appliance.disk.autonomy import Autonomy
from appliance.standby.view import holds
from appliance.web.deliveries import DestinationView
from appliance.web.language import gettext as _
from appliance.web.parked import MOST_AT_ONCE, ParkedGroup, group_condition, parked_groups
from appliance.web.people import Role
from appliance.web.site import Site, Values
from appliance.web.speed import Speed, Traffic, speed, traffic
from appliance.web.views import Notice, autonomy_of, box_state
from store_forward import outbox
from store_forward.deliveries import Load, load
from store_forward.outbox import DeliveryState, deliveries
from store_forward.selection import Selection, first
from store_forward.traffic import hour_of, hours

_NEXT = 5
_NEXT_COLUMNS = ("id", "subject", "kind", "priority", "size_bytes", "attempts", "next_at", "cause")
_WEEK_HOURS = 7 * 24


@dataclass(frozen=True)
class NextDelivery:
    """One of those that go next."""

    id: int
    subject: str
    kind: str
    priority: int
    size_bytes: int
    attempts: int
    next_at: float
    cause: str | None


@dataclass(frozen=True)
class Lane:
    """The way to one destination: what is still to go there, how fast it goes, and what has gone lately.

    ``drain_s`` is how long all of it takes at the measured speed, None while that is not known.
    """

    to: DestinationView
    load: tuple[Load, ...]
    load_bytes: int
    speed: Speed | None
    drain_s: float | None
    day: Traffic
    week: Traffic
    next: tuple[NextDelivery, ...]


@dataclass(frozen=True)
class LinkView:
    """What the page shows at ``now`` (epoch s); ``held``: the other box of two sends what waits here."""

    now: float
    notices: tuple[Notice, ...]
    lanes: tuple[Lane, ...]
    groups: tuple[ParkedGroup, ...]
    autonomy: Autonomy
    held: bool


def link_view(conn: Connection, site: Site, now: float) -> LinkView:
    """Read it all in one transaction."""
    state = box_state(conn, site.settings, site.spool, now, site.watch.surroundings())
    lanes = tuple(_lane(conn, to, now) for to in state.destinations)
    return LinkView(
        now=now,
        notices=state.notices,
        lanes=lanes,
        groups=tuple(group for lane in lanes if lane.to.parked for group in parked_groups(conn, lane.to.name)),
        autonomy=autonomy_of(conn, state),
        held=holds(conn),
    )


def _lane(conn: Connection, to: DestinationView, now: float) -> Lane:
    last = hour_of(now)
    counted = hours(conn, to.name, last - _WEEK_HOURS + 1)
    waiting = load(conn, to.name)
    measured, size_bytes = speed(counted, last), sum(one.size_bytes for one in waiting)
    rows = first(conn, Selection(destination=to.name, state=DeliveryState.WAITING), _NEXT, _NEXT_COLUMNS)
    return Lane(
        to=to,
        load=tuple(waiting),
        load_bytes=size_bytes,
        speed=measured,
        drain_s=size_bytes / measured.bytes_per_s if measured is not None and waiting else None,
        day=traffic(counted, last, bars=24, hours_each=1),
        week=traffic(counted, last, bars=28, hours_each=6),
        next=tuple(NextDelivery(**row) for row in rows),
    )


def link_routes(site: Site) -> list[Route]:
    """The page, and its buttons; what they do goes through the outbox's own functions, into its history."""

    def view(request: Request, conn: Connection) -> Values:
        now = site.clock()
        return {
            "view": link_view(conn, site, now),
            "now": now,
            "may_act": site.person(request).may(Role.OPERATOR),
            "said": _said(request),
        }

    def retry_group(request: Request, conn: Connection) -> str:
        asked = request.query_params
        condition = group_condition(asked.get("destination", ""), asked.get("cause", ""))
        numbers = list(conn.scalars(select(deliveries.c.id).where(condition).limit(MOST_AT_ONCE + 1)))
        moved = outbox.retry(conn, numbers[:MOST_AT_ONCE], site.clock(), by=site.person(request).name)
        return f"/link?{urlencode({'retried': moved} | ({'more': 1} if len(numbers) > MOST_AT_ONCE else {}))}"

    def retry_one(request: Request, conn: Connection) -> str:
        moved = outbox.retry(conn, [_known(request, conn)], site.clock(), by=site.person(request).name)
        return f"/link?retried={moved}"

    def park_one(request: Request, conn: Connection) -> str:
        which, who = [_known(request, conn)], site.person(request).name
        return f"/link?parked={outbox.park(conn, which, 'parked_by_person', site.clock(), by=who)}"

    return [
        *site.page("/link", "link", view),
        site.action("/link/parked/retry", retry_group, Role.OPERATOR),
        site.action("/link/deliveries/{number:int}/retry", retry_one, Role.OPERATOR),
        site.action("/link/deliveries/{number:int}/park", park_one, Role.OPERATOR),
    ]


def _known(request: Request, conn: Connection) -> int:
    number = int(request.path_params["number"])
    here: ColumnElement[bool] = deliveries.c.id == number
    if number >= 2**63 or conn.scalar(select(deliveries.c.id).where(here)) is None:
        raise HTTPException(404, _("There is no delivery with this number on this box."))
    return number


def _said(request: Request) -> tuple[str, int, bool] | None:
    """What the last button did, as the address says it: what, how many, and whether there are more."""
    for what in ("retried", "parked"):
        number = request.query_params.get(what, "")
        if number.isascii() and number.isdigit() and len(number) < 8:
            return what, int(number), "more" in request.query_params
    return None
