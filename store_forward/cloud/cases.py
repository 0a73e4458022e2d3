"""Cases: one for each payload the cloud has or is getting, and the numbered answers that boxes fetch.

State: ``receiving → stored → analysing → answered``. A case is its payload's SHA-256: the same bytes from two boxes
are read once and answered to both. An answer gets its number when it is given, never earlier, so a box that asks for
what comes after its last number misses none.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert

from store_forward.errors import LeaseLost
from store_forward.protocol import Answer, Receipt, UploadMetadata, Verdict, upload_id

CLOUD_METADATA: Final = MetaData(info={"application_id": 0x5343434C})
"""The cloud's tables, in a database file of its own."""


class CaseState(StrEnum):
    """Where a case stands."""

    RECEIVING = "receiving"
    STORED = "stored"
    ANALYSING = "analysing"
    ANSWERED = "answered"


_RECEIVING, _STORED = CaseState.RECEIVING.value, CaseState.STORED.value
_ANALYSING, _ANSWERED = CaseState.ANALYSING.value, CaseState.ANSWERED.value

cases: Final = Table(
    "cases",
    CLOUD_METADATA,
    Column("digest", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("stored_at", Float),
    Column("answered_at", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("answer", JSON(none_as_null=True)),
    CheckConstraint("state IN ('receiving', 'stored', 'analysing', 'answered')", name="case_state"),
    CheckConstraint("(state = 'receiving') = (stored_at IS NULL)", name="case_stored"),
    CheckConstraint("(state = 'answered') = (answer IS NOT NULL)", name="case_answered"),
    Index("cases_by_turn", "state", "priority", "stored_at"),
)

senders: Final = Table(
    "senders",
    CLOUD_METADATA,
    Column("digest", Text, ForeignKey("cases.digest"), primary_key=True),
    Column("box", Text, primary_key=True),
    Column("upload_id", Text, nullable=False, unique=True),
)

answer_feed: Final = Table(
    "answer_feed",
    CLOUD_METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("box", Text, nullable=False),
    Column("digest", Text, ForeignKey("cases.digest")),  # of an answer; a message has the next three instead
    Column("kind", Text),
    Column("body", JSON(none_as_null=True)),
    Column("sent_at", Float),
    Column("outcome", Text),
    Column("reason", Text),
    Column("outcome_at", Float),
    UniqueConstraint("box", "digest"),
    CheckConstraint("(digest IS NULL) = (kind IS NOT NULL)", name="answer_or_message"),
    CheckConstraint("(kind IS NULL) = (body IS NULL) AND (kind IS NULL) = (sent_at IS NULL)", name="message_whole"),
    sqlite_autoincrement=True,
)

#: Who has ever asked for answers: a notice to all boxes goes to these.
boxes: Final = Table(
    "boxes",
    CLOUD_METADATA,
    Column("name", Text, primary_key=True),
    Column("first_asked_at", Float, nullable=False),
)


@dataclass(frozen=True)
class Case:
    """A case under analysis; ``attempts`` counts this one too."""

    digest: str
    size_bytes: int
    content_type: str
    attempts: int


def begin(conn: Connection, upload: UploadMetadata, size_bytes: int) -> None:
    """Somebody has begun to send this payload; no change if it is known already."""
    conn.execute(insert(cases).values(**_described(upload, size_bytes), state=_RECEIVING).on_conflict_do_nothing())


def give_up(conn: Connection, digest: str) -> None:
    """The upload was discarded or went stale; a payload that has been stored stays."""
    conn.execute(cases.delete().where(cases.c.digest == digest, cases.c.state == _RECEIVING))


def store(conn: Connection, upload: UploadMetadata, size_bytes: int, now: float) -> Receipt:
    """The payload is durable in the spool: note it and who sent it, and return the receipt.

    The same payload again, from this box or another, changes neither ``stored_at`` nor the state; a box that sends
    what was answered long ago gets that answer.
    """
    statement = insert(cases).values(**_described(upload, size_bytes), state=_STORED, stored_at=now)
    new = {"state": _STORED, "stored_at": now, "size_bytes": size_bytes, "priority": upload.priority}
    conn.execute(
        statement.on_conflict_do_update(index_elements=["digest"], set_=new, where=cases.c.state == _RECEIVING)
    )
    sender = {"digest": upload.sha256, "box": upload.box}
    conn.execute(insert(senders).values(**sender, upload_id=upload_id(upload)).on_conflict_do_nothing())
    row = conn.execute(select(cases).where(cases.c.digest == upload.sha256)).one()
    if row.state == _ANSWERED:
        conn.execute(insert(answer_feed).values(**sender).on_conflict_do_nothing())
    return _receipt(row)


def receipt_of(conn: Connection, name: str) -> Receipt | None:
    """The receipt for the finished upload called ``name``; None when there is no such upload."""
    finished = select(cases).join(senders, senders.c.digest == cases.c.digest).where(senders.c.upload_id == name)
    row = conn.execute(finished.where(cases.c.stored_at.is_not(None))).one_or_none()
    return None if row is None else _receipt(row)


def in_state(conn: Connection, state: CaseState) -> list[str]:
    """The digests of all cases in one state."""
    return list(conn.execute(select(cases.c.digest).where(cases.c.state == state.value)).scalars())


def size_of(conn: Connection, digest: str) -> int | None:
    """The length of the payload in bytes if it is held for good, else None."""
    held = select(cases.c.size_bytes).where(cases.c.digest == digest, cases.c.stored_at.is_not(None))
    return conn.execute(held).scalar_one_or_none()


def any_stored(conn: Connection) -> bool:
    """Whether ``lease`` would find something; needs no write transaction."""
    return conn.execute(select(cases.c.digest).where(cases.c.state == _STORED).limit(1)).first() is not None


def lease(conn: Connection) -> Case | None:
    """Take the next stored case, lowest priority number first, then oldest; counts the attempt before the work."""
    by_turn = select(cases).where(cases.c.state == _STORED).order_by(cases.c.priority, cases.c.stored_at)
    row = conn.execute(by_turn.limit(1)).one_or_none()
    if row is None:
        return None
    taken = {"state": _ANALYSING, "attempts": row.attempts + 1}
    conn.execute(update(cases).where(cases.c.digest == row.digest).values(**taken))
    return Case(row.digest, row.size_bytes, row.content_type, row.attempts + 1)


def reclaim(conn: Connection) -> int:
    """Put back what was under analysis when the analysis process ended; only for its one successor to call."""
    return conn.execute(update(cases).where(cases.c.state == _ANALYSING).values(state=_STORED)).rowcount


def release(conn: Connection, case: Case) -> None:
    """Put a case back after a failed attempt. Raises LeaseLost."""
    _while_held(conn, case, {"state": _STORED})


def answer(conn: Connection, case: Case, verdict: Verdict, now: float) -> None:
    """Write the verdict and give it a number for every box that sent the case, all at once. Raises LeaseLost."""
    _while_held(conn, case, {"state": _ANSWERED, "answer": verdict.model_dump(), "answered_at": now})
    boxes = select(senders.c.box, senders.c.digest).where(senders.c.digest == case.digest).order_by(senders.c.box)
    numbered = insert(answer_feed).from_select(["box", "digest"], boxes)
    conn.execute(numbered.on_conflict_do_nothing())


def answers_after(conn: Connection, box: str, after: int, limit: int) -> list[Answer]:
    """The answers for one box with a number above ``after``, in order, at most ``limit``."""
    query = (
        select(answer_feed.c.seq, cases.c.digest, cases.c.answer, cases.c.answered_at)
        .join(cases, cases.c.digest == answer_feed.c.digest)
        .where(answer_feed.c.box == box, answer_feed.c.seq > after)
        .order_by(answer_feed.c.seq)
        .limit(limit)
    )
    return [
        Answer(seq=row.seq, case=row.digest, answered_at=row.answered_at, **row.answer) for row in conn.execute(query)
    ]


def count_by_state(conn: Connection) -> dict[str, int]:
    """How many cases stand in each state; every state is named."""
    rows = conn.execute(select(cases.c.state, func.count()).group_by(cases.c.state))
    return {state.value: 0 for state in CaseState} | {str(state): int(number) for state, number in rows}


def _receipt(row: Row[Any]) -> Receipt:
    return Receipt(digest=row.digest, size_bytes=row.size_bytes, stored_at=row.stored_at)


def _described(upload: UploadMetadata, size_bytes: int) -> dict[str, Any]:
    return {
        "digest": upload.sha256,
        "size_bytes": size_bytes,
        "content_type": upload.content_type,
        "priority": upload.priority,
    }


def _while_held(conn: Connection, case: Case, changes: dict[str, Any]) -> None:
    held = update(cases).where(cases.c.digest == case.digest, cases.c.state == _ANALYSING)
    if conn.execute(held.where(cases.c.attempts == case.attempts).values(**changes)).rowcount != 1:
        raise LeaseLost(f"case {case.digest[:12]}, attempt {case.attempts}")
