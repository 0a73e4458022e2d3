"""What is parked, by destination and cause: however many there are, a few lines and the newest of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select

from appliance.web.deliveries import ParkedDelivery, parked_delivery
from store_forward.outbox import DeliveryState, deliveries

#: One press moves so many at most: that is as long as nothing else may be written.
MOST_AT_ONCE: Final = 10_000
MOST_COUNTED: Final = 100_000
MOST_GROUPS: Final = 40
NEWEST: Final = 3

_c = deliveries.c
#: Written out, because only then SQLite sees that the index of what is parked will do.
_IS_PARKED: Final = _c.state == literal_column(f"'{DeliveryState.PARKED.value}'")


@dataclass(frozen=True)
class ParkedGroup:
    """Deliveries that are parked for one cause, and the newest of them; ``number`` stops at MOST_COUNTED."""

    destination: str
    cause: str
    number: int
    newest: tuple[ParkedDelivery, ...]


def group_condition(destination: str, cause: str) -> ColumnElement[bool]:
    """What a parked delivery of this group fulfils; an empty cause is that of none."""
    for_it = _c.cause == cause if cause else _c.cause.is_(None)
    return and_(_IS_PARKED, _c.destination == destination, for_it)


def parked_groups(conn: Connection, destination: str) -> list[ParkedGroup]:
    """The groups of a destination, the largest first."""
    found = [_group(conn, destination, cause) for cause in ["", *_causes(conn, destination)]]
    return sorted((one for one in found if one.number), key=lambda one: (-one.number, one.cause))


def _causes(conn: Connection, destination: str) -> list[str]:
    """The distinct causes, by index searches: each is the least above the one before."""
    parked = and_(_IS_PARKED, _c.destination == destination)
    causes: list[str] = []
    cause = conn.scalar(select(func.min(_c.cause)).where(parked))
    while cause is not None and len(causes) < MOST_GROUPS:
        causes.append(str(cause))
        cause = conn.scalar(select(func.min(_c.cause)).where(parked, _c.cause > cause))
    return causes


def _group(conn: Connection, destination: str, cause: str) -> ParkedGroup:
    condition = group_condition(destination, cause)
    some = select(_c.id).where(condition).limit(MOST_COUNTED).subquery()
    number = int(conn.scalar(select(func.count()).select_from(some)) or 0)
    newest = select(deliveries).where(condition).order_by(_c.created_at.desc()).limit(NEWEST)
    return ParkedGroup(destination, cause, number, tuple(parked_delivery(row) for row in conn.execute(newest)))
