"""What the page, ``scanside status`` and ``scanside outbox`` say of the two boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from appliance.settings import Settings
from appliance.standby.state import Turn, standing_row
from appliance.web.language import gettext as _
from appliance.web.language import ngettext
from appliance.web.wording import number_words
from store_forward.deliveries import DeliveryState, depth

#: A standby that was not heard for this long, s, is spoken of.
_MISSED_AFTER_S: Final = 60.0


@dataclass(frozen=True)
class StandbyView:
    """This box as one of two. ``role`` is first or standby; times are epoch seconds.

    ``turn`` and ``trouble`` are a standby's, ``heard_at`` and ``other_stands_in`` a first's. ``held`` counts deliveries
    that wait because the other box sends.
    """

    role: str
    of: str
    turn: str | None
    since: float | None
    trouble: str
    differences: tuple[str, ...]
    heard_at: float | None
    other_stands_in: bool
    held: int


def standby_view(connection: Connection, settings: Settings) -> StandbyView | None:
    """None for a box that is, and was, alone."""
    row, of = standing_row(connection), settings.standby.of
    if row is None or (of is None and not row.session):
        return None
    return StandbyView(
        role="standby" if of else "first",
        of=of or "",
        turn=row.turn if of else None,
        since=row.since if of else None,
        trouble=row.trouble if of else "",
        differences=tuple(row.differences.splitlines()) if of else (),
        heard_at=row.heard_at,
        other_stands_in=row.other_stands_in and of is None,
        held=_waiting(connection) if holds(connection) else 0,
    )


def holds(connection: Connection) -> bool:
    """Whether what waits here waits because the other box sends."""
    row = standing_row(connection)
    return row is not None and bool(row.turn == Turn.STANDING_BY or row.other_stands_in)


def standby_notices(view: StandbyView | None, now: float) -> list[tuple[str, str]]:
    """Severity and sentence of what a person should know."""
    if view is None:
        return []
    if view.role == "standby":
        return [*_of_standby(view), *(("problem", sentence) for sentence in view.differences)]
    if view.other_stands_in:
        return [("problem", _("The standby stands in: nothing is sent from this box until it has stepped back."))]
    if view.heard_at is None or now - view.heard_at > _MISSED_AFTER_S:
        return [("note", _("The standby is not heard; were this box to fail now, nobody might stand in."))]
    return []


def standby_line(view: StandbyView | None) -> str:
    """One line for a terminal; empty for a box that is alone."""
    if view is None:
        return ""
    if view.role == "first":
        return "first of two; the standby stands in" if view.other_stands_in else "first of two"
    return f"{(view.turn or 'not yet started').replace('_', ' ')} of {view.of}, {view.held} held"


def _of_standby(view: StandbyView) -> list[tuple[str, str]]:
    if view.turn == Turn.STANDING_IN:
        said = _("This box stands in for the first, which is silent: %(trouble)s.")
        return [("problem", said % {"trouble": view.trouble})]
    said = ngettext(
        "This box is the standby of %(name)s; %(number)s delivery is held while the first is heard.",
        "This box is the standby of %(name)s; %(number)s deliveries are held while the first is heard.",
        view.held,
    )
    found = [("note", said % {"name": view.of, "number": number_words(view.held)})]
    if view.trouble:
        found.append(("problem", _("The first box gives no sound pulse: %(trouble)s.") % {"trouble": view.trouble}))
    return found


def _waiting(connection: Connection) -> int:
    return sum(one.count for one in depth(connection) if one.state is DeliveryState.WAITING)
