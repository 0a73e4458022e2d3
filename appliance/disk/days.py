"""What came onto the disk and what left it, bytes by day (UTC); counted in the transactions that cause it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from appliance.disk.autonomy import LONGEST_RECORD_DAYS, Day
from appliance.disk.tables import disk_days
from store_forward.database import Prepared
from store_forward.outbox import DeliveryRequest

_DAY_S = 86_400.0
_AMOUNTS = ("received_bytes", "made_bytes", "deleted_bytes")
_NEW_DAY = insert(disk_days)
#: By the column that grows; executed with a value for each column.
_MORE = {
    column: Prepared(
        _NEW_DAY.on_conflict_do_update(
            index_elements=["day"], set_={column: disk_days.c[column] + _NEW_DAY.excluded[column]}
        ),
        ("day", *_AMOUNTS),
    )
    for column in _AMOUNTS
}


def day_of(at: float) -> int:
    """Days since 1970-01-01 UTC."""
    return int(at // _DAY_S)


def count_received(connection: Connection, at: float, size_bytes: int) -> None:
    """An image was taken in."""
    _count(connection, at, "received_bytes", size_bytes)


def count_made(connection: Connection, at: float, requests: Iterable[DeliveryRequest]) -> None:
    """Results and archives were made; one that goes to several destinations lies on the disk once."""
    sizes = {request.payload: request.size_bytes for request in requests}
    _count(connection, at, "made_bytes", sum(sizes.values()))


def count_deleted(connection: Connection, at: float, size_bytes: int) -> None:
    """Retention made room."""
    _count(connection, at, "deleted_bytes", size_bytes)


def recorded_days(connection: Connection, now: float) -> list[Day]:
    """The latest days that have a record, up to ``now``; one more than is counted, to know how far it goes back."""
    c = disk_days.c
    query = select(c.day, c.received_bytes, c.made_bytes, c.deleted_bytes).where(c.day <= day_of(now))
    rows = connection.execute(query.order_by(c.day.desc()).limit(LONGEST_RECORD_DAYS + 2))
    return [Day(*row) for row in rows]


def _count(connection: Connection, at: float, column: str, size_bytes: int) -> None:
    if size_bytes == 0:
        return
    amounts = {**dict.fromkeys(_AMOUNTS, 0), column: size_bytes}
    _MORE[column].execute(connection, day=day_of(at), **amounts)
