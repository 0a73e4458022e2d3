"""What others have asked us to keep, and what they are still to be told of it (PS3.4 Annex J).

A request is written down before it is answered, and lies here until whoever asked has taken the report on it.

Nothing here knows the network.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    Row,
    Table,
    Text,
    func,
    select,
    update,
)

from store_forward.backoff import next_delay_s
from store_forward.database import METADATA
from store_forward.turns import LONGEST_PAUSE_S


class Owed(StrEnum):
    """``owed → reported``, or ``refused`` when who asked does not know it, or ``given_up`` when nobody took it."""

    OWED = "owed"
    REPORTED = "reported"
    REFUSED = "refused"
    GIVEN_UP = "given_up"


commitment_requests: Final = Table(
    "commitment_requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", Text, nullable=False),
    Column("ae_title", Text, nullable=False),  # of who asked
    Column("asked_at", Float, nullable=False),
    Column("references", JSON, nullable=False),  # [SOP class, SOP instance], as asked; empty once it is over
    Column("duplicate", Boolean, nullable=False),  # another request of this name was open
    Column("state", Text, nullable=False),
    Column("next_at", Float, nullable=False),
    Column("failures", Integer, nullable=False, default=0),
    Column("cause", Text, nullable=False, default=""),  # of the last failure
    Column("committed", Integer),  # how many, as reported
    Column("failed", Integer),
    Column("ended_at", Float),
)
_table: Final = commitment_requests.c
_owed: Final = _table.state == Owed.OWED.value
Index("commitment_requests_owed", _table.next_at, sqlite_where=_owed)
Index("commitment_requests_by_name", _table.transaction_uid)

Reference = tuple[str, str]


@dataclass(frozen=True)
class Request:
    """One request; ``references`` are (SOP class UID, SOP instance UID)."""

    id: int
    transaction_uid: str
    ae_title: str
    asked_at: float
    references: tuple[Reference, ...]
    duplicate: bool
    failures: int


class TooManyRequests(Exception):
    """``max_requests`` are waiting for their report already. Nothing was written."""


def ask(
    conn: Connection,
    transaction_uid: str,
    ae_title: str,
    references: tuple[Reference, ...],
    due_at: float,
    most: int,
    now: float,
) -> int | None:
    """Write a request down; None when it was asked before in the same words and its report is still to come.

    Another request under the name of one that is open is to be failed as a whole (0x0131). Raises TooManyRequests.
    """
    same_name = (_table.transaction_uid == transaction_uid, _table.ae_title == ae_title, _owed)
    open_ones = [_request(row) for row in conn.execute(select(commitment_requests).where(*same_name))]
    if any(one.references == references for one in open_ones):
        return None
    if int(conn.scalar(select(func.count()).select_from(commitment_requests).where(_owed)) or 0) >= most:
        raise TooManyRequests
    row = {
        "transaction_uid": transaction_uid,
        "ae_title": ae_title,
        "asked_at": now,
        "references": [list(one) for one in references],
        "duplicate": bool(open_ones),
        "state": Owed.OWED.value,
        "next_at": due_at,
    }
    return int(conn.execute(commitment_requests.insert().values(row).returning(_table.id)).scalar_one())


def next_owed(conn: Connection, now: float) -> Request | None:
    """The request whose report has been due for longest. A time that only a wrong clock can have set counts as come."""
    due = (_table.next_at <= now) | (_table.next_at > now + LONGEST_PAUSE_S)
    row = conn.execute(
        select(commitment_requests).where(_owed, due).order_by(_table.next_at, _table.id).limit(1)
    ).one_or_none()
    return None if row is None else _request(row)


def owed(conn: Connection, request_id: int) -> Request | None:
    """The request, if its report is still to come."""
    row = conn.execute(select(commitment_requests).where(_table.id == request_id, _owed)).one_or_none()
    return None if row is None else _request(row)


def reported(conn: Connection, request: Request, committed: int, failed: int, now: float) -> None:
    """Who asked has taken the report that so many instances are committed, and so many not."""
    _end(conn, request, Owed.REPORTED, {"committed": committed, "failed": failed, "cause": ""}, now)


def refused(conn: Connection, request: Request, cause: str, now: float) -> None:
    """Who asked will not take the report."""
    _end(conn, request, Owed.REFUSED, {"cause": cause}, now)


def deferred(
    conn: Connection, request: Request, cause: str, give_up_s: float, now: float, rng: random.Random, *, peer: bool
) -> float | None:
    """The report did not arrive and is due again after the pause that is returned, s; None: it was given up.

    With ``peer`` it is whoever asked that cannot be reached: all that is owed to it waits as long.
    """
    if now - request.asked_at > give_up_s:
        _end(conn, request, Owed.GIVEN_UP, {"cause": cause}, now)
        return None
    failures = request.failures + 1
    pause_s = next_delay_s(failures, rng)
    changes = {"next_at": now + pause_s, "failures": failures, "cause": cause}
    conn.execute(update(commitment_requests).where(_table.id == request.id, _owed).values(changes))
    if peer:
        of_peer = (_owed, _table.ae_title == request.ae_title, _table.next_at <= now)
        conn.execute(update(commitment_requests).where(*of_peer).values(changes))
    return pause_s


def hand_over(conn: Connection, request_ids: list[int], now: float) -> None:
    """What the association did not get is due on one of our own."""
    of_them = update(commitment_requests).where(_table.id.in_(request_ids), _owed)
    conn.execute(of_them.values(next_at=now))


def bring_forward(conn: Connection, now: float) -> None:
    """At a start: what failed before is tried at once, for the configuration or the network may be another now."""
    tried = update(commitment_requests).where(_owed, _table.failures > 0)
    conn.execute(tried.values(next_at=now))


def waiting_reports(conn: Connection) -> list[tuple[str, str, int]]:
    """AE title, cause of the last failure, and how many reports wait for that reason."""
    tried = select(_table.ae_title, _table.cause, func.count()).where(_owed, _table.failures > 0)
    query = tried.group_by(_table.ae_title, _table.cause).order_by(_table.ae_title)
    return [(row[0], row[1], int(row[2])) for row in conn.execute(query)]


def _end(conn: Connection, request: Request, state: Owed, changes: dict[str, Any], now: float) -> None:
    ending = update(commitment_requests).where(_table.id == request.id, _owed)
    conn.execute(ending.values(state=state.value, ended_at=now, references=[], **changes))


def _request(row: Row[Any]) -> Request:
    return Request(
        id=row.id,
        transaction_uid=row.transaction_uid,
        ae_title=row.ae_title,
        asked_at=row.asked_at,
        references=tuple((one[0], one[1]) for one in row.references),
        duplicate=row.duplicate,
        failures=row.failures,
    )
