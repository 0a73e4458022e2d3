"""The audit trail: rows that are only ever appended, each of which names the digest of the one before.

Whoever changes, removes or inserts a row breaks the chain at that place, which :func:`verify` finds. Whoever can
rewrite the whole file can make a new chain; that shows only where an earlier head was kept elsewhere: with a syslog
server, or by ``scanside audit verify --head``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy import DDL, Column, Connection, Float, Integer, Table, Text, event, insert, select
from sqlalchemy.exc import DatabaseError

from appliance.audit.events import AuditEvent
from store_forward.database import METADATA

_FIRST: Final = "0" * 64
_PAGE: Final = 1000

audit_trail = Table(
    "audit_trail",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("at", Float, nullable=False),  # epoch s
    Column("event", Text, nullable=False),  # JSON
    Column("before", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
)

#: Up to which row a syslog server has been told.
audit_told = Table(
    "audit_told",
    METADATA,
    Column("receiver", Text, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("trouble", Text, nullable=False, default=""),
)

for _what in ("UPDATE", "DELETE"):
    _name = f"audit_trail_no_{_what.lower()}"
    _words = "the audit trail is only appended to"
    _statement = f"CREATE TRIGGER {_name} BEFORE {_what} ON audit_trail BEGIN SELECT RAISE(ABORT, '{_words}'); END"
    event.listen(audit_trail, "after_create", DDL(_statement))  # type: ignore[no-untyped-call]

_c = audit_trail.c


@dataclass(frozen=True)
class Head:
    """The end of the chain: how many rows, and the digest of the last."""

    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """From ``SEQ:DIGEST``. Raises ValueError."""
        seq, _, digest = text.partition(":")
        if len(digest) != 64:
            raise ValueError(f"{text!r} is not a number, a colon and 64 hexadecimal digits")
        return cls(int(seq), digest)


@dataclass(frozen=True)
class Broken:
    """Where the chain does not hold, and why."""

    seq: int
    why: str


@dataclass(frozen=True)
class Row:
    """One event of the trail; ``at`` in epoch s, ``event`` as it was written."""

    seq: int
    at: float
    event: dict[str, Any]
    digest: str


def record(connection: Connection, what: AuditEvent, now: float) -> int:
    """Append ``what``, in the transaction of that which it is about; returns its number.

    ``connection`` must be writing (BEGIN IMMEDIATE), so that nobody else appends in between.
    """
    last = head(connection)
    text = json.dumps(asdict(what), default=_plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    seq = last.seq + 1
    digest = _digest(seq, now, text, last.digest)
    connection.execute(insert(audit_trail).values(seq=seq, at=now, event=text, before=last.digest, digest=digest))
    return seq


def head(connection: Connection) -> Head:
    """The end of the chain as it is now."""
    row = connection.execute(select(_c.seq, _c.digest).order_by(_c.seq.desc()).limit(1)).one_or_none()
    return Head(0, _FIRST) if row is None else Head(row.seq, row.digest)


def rows(connection: Connection, after: int = 0, since: float = 0.0) -> Iterator[Row]:
    """The trail in order, from the row behind ``after`` and not before ``since`` (epoch s)."""
    for row in _pages(connection, after):
        if row.at >= since:
            yield Row(row.seq, row.at, json.loads(row.event), row.digest)


def verify(connection: Connection, kept: Head | None = None) -> Broken | Head:
    """The head of a chain that holds, or the first place where it does not.

    ``kept`` is a head that was noted earlier: it must still be in the chain.
    """
    last = Head(0, _FIRST)
    met = kept is None or kept == last
    try:
        for row in _pages(connection, 0):
            if row.seq != last.seq + 1:
                return Broken(last.seq + 1, "a row is missing")
            if row.before != last.digest:
                return Broken(row.seq, "it does not follow the row before it")
            if row.digest != _digest(row.seq, row.at, row.event, row.before):
                return Broken(row.seq, "its content has been changed")
            last = Head(row.seq, row.digest)
            met = met or last == kept
    except DatabaseError:
        return Broken(last.seq + 1, "the database cannot be read from here on")
    if not met:
        assert kept is not None
        return Broken(kept.seq, "the head that was kept is not in this chain: it was cut short or made anew")
    return last


def _pages(connection: Connection, after: int) -> Iterator[Any]:
    while True:
        page = connection.execute(select(audit_trail).where(_c.seq > after).order_by(_c.seq).limit(_PAGE)).all()
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].seq


def _digest(seq: int, at: float, text: str, before: str) -> str:
    return hashlib.sha256(f"{before}\n{seq}\n{at!r}\n{text}".encode()).hexdigest()


def _plain(value: object) -> Any:
    assert isinstance(value, Enum)
    return value.value
