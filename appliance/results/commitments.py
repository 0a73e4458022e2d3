"""What the box has asked of each PACS by storage commitment, and what came back (PS3.4 Annex J).

A transaction is about one delivery. It is written down before the request goes out, and what is reported of it before
the report is answered. It ends when the PACS reports, or when the delivery is taken up again because nothing came; a
report that comes after that is still believed.

Nothing here knows the network: the uplink asks, the receiver or the uplink is told, the page shows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    func,
    select,
    update,
)
from sqlalchemy import case as sql_case

from store_forward.database import METADATA
from store_forward.moves import bring_forward
from store_forward.outbox import Delivery, deliveries, due_again_at


class Outcome(StrEnum):
    """What a PACS has reported of an instance."""

    COMMITTED = "committed"
    FAILED = "failed"


class FailureReason(IntEnum):
    """Failure Reason (0008,1197), the values of PS3.3 C.14."""

    PROCESSING_FAILURE = 0x0110
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    REFERENCED_SOP_CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION_UID = 0x0131
    RESOURCE_LIMITATION = 0x0213


#: In the words of PS3.3 C.14.
FAILURE_WORDS: Final = {
    FailureReason.PROCESSING_FAILURE: "processing failure",
    FailureReason.NO_SUCH_OBJECT_INSTANCE: "no such object instance",
    FailureReason.CLASS_INSTANCE_CONFLICT: "class / instance conflict",
    FailureReason.REFERENCED_SOP_CLASS_NOT_SUPPORTED: "referenced SOP Class not supported",
    FailureReason.DUPLICATE_TRANSACTION_UID: "duplicate transaction UID",
    FailureReason.RESOURCE_LIMITATION: "resource limitation",
}
_FOR_GOOD: Final = (FailureReason.CLASS_INSTANCE_CONFLICT, FailureReason.REFERENCED_SOP_CLASS_NOT_SUPPORTED)

commitments: Final = Table(
    "commitments",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("transaction_uid", Text, nullable=False, unique=True),
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("destination", Text, nullable=False),
    Column("sop_instance_uid", Text, nullable=False),
    Column("stored", Text, nullable=False),  # what the PACS said to the C-STORE
    Column("asked_at", Float, nullable=False),
    Column("outcome", Text),
    Column("failure_reason", Integer),
    Column("reported_at", Float),
    Column("closed_at", Float),
    CheckConstraint("outcome IN ('committed', 'failed')", name="commitment_outcome"),
    CheckConstraint("(outcome IS NULL) = (reported_at IS NULL)", name="commitment_reported"),
)
_table = commitments.c
_open = _table.outcome.is_(None) & _table.closed_at.is_(None)
Index("commitments_open", _table.destination, sqlite_where=_open)


@dataclass(frozen=True)
class Transaction:
    """One request for commitment; ``stored`` is the answer to the C-STORE before it."""

    transaction_uid: str
    stored: str
    outcome: Outcome | None
    failure_reason: int | None
    closed: bool

    @property
    def to_act_on(self) -> bool:
        """Whether it says what comes next: it was committed, or nobody has acted on it since it was asked."""
        return self.outcome is Outcome.COMMITTED or not self.closed

    @property
    def store_again(self) -> bool:
        """Whether the PACS said that it does not have what it was sent."""
        return self.outcome is Outcome.FAILED and self.failure_reason != FailureReason.DUPLICATE_TRANSACTION_UID


@dataclass(frozen=True)
class Report:
    """What a PACS reports (PS3.4 J.3.3): who is committed, and for the others why not, by SOP Instance UID."""

    transaction_uid: str
    committed: frozenset[str]
    failed: dict[str, int]


class UnknownTransaction(Exception):
    """Nothing of this transaction was asked of who reports it, or not about this instance. Nothing was written."""


def reason_words(reason: int | None) -> str:
    """A Failure Reason for a person: its words and its number."""
    if reason is None:
        return "no reason given"
    try:
        return f"{FAILURE_WORDS[FailureReason(reason)]} ({reason:#06x})"
    except ValueError:
        return f"a reason of its own ({reason:#06x})"


def is_for_good(reason: int | None) -> bool:
    """Whether storing it again cannot help; a reason we do not know is worth another try."""
    return reason in _FOR_GOOD


def begin(
    conn: Connection,
    delivery: Delivery,
    transaction_uid: str,
    sop_instance_uid: str,
    stored: str,
    now: float,
    wait_s: float,
) -> None:
    """Write down what is going to be asked; if nothing comes within ``wait_s``, the delivery is due again.

    Raises LeaseLost, and then writes nothing.
    """
    due_again_at(conn, delivery, now + wait_s)
    conn.execute(
        commitments.insert().values(
            transaction_uid=transaction_uid,
            delivery_id=delivery.id,
            destination=delivery.destination,
            sop_instance_uid=sop_instance_uid,
            stored=stored,
            asked_at=now,
        )
    )


def last_of(conn: Connection, delivery_id: int) -> Transaction | None:
    """The transaction that counts for a delivery: one that was committed, else the latest; None before the first."""
    committed = sql_case((_table.outcome == Outcome.COMMITTED.value, 0), else_=1)
    query = select(commitments).where(_table.delivery_id == delivery_id).order_by(committed, _table.id.desc()).limit(1)
    row = conn.execute(query).one_or_none()
    return None if row is None else _transaction(row)


def close(conn: Connection, transaction_uid: str, now: float) -> None:
    """It has been acted on; what follows is another transaction."""
    closing = update(commitments).where(_table.transaction_uid == transaction_uid)
    conn.execute(closing.values(closed_at=now))


def take_report(conn: Connection, destinations: Collection[str], report: Report, now: float) -> bool:
    """Write down what was reported and make the delivery due; False when it was known already.

    ``destinations`` are those that the reporting peer is. Of two reports on one transaction the first stands. Raises
    UnknownTransaction.
    """
    row = conn.execute(select(commitments).where(_table.transaction_uid == report.transaction_uid)).one_or_none()
    if row is None or row.destination not in destinations:
        raise UnknownTransaction("not a transaction that was asked of this peer")
    if row.sop_instance_uid in report.failed:
        outcome, reason = Outcome.FAILED, report.failed[row.sop_instance_uid]
    elif row.sop_instance_uid in report.committed:
        outcome, reason = Outcome.COMMITTED, None
    else:
        raise UnknownTransaction("the instance that the transaction is about is missing")
    if row.outcome is not None:
        return False
    told = update(commitments).where(_table.id == row.id)
    conn.execute(told.values(outcome=outcome.value, failure_reason=reason, reported_at=now))
    if outcome is Outcome.COMMITTED or row.closed_at is None:  # else a later transaction is what counts
        bring_forward(conn, [row.delivery_id], "commitment_reported", now)
    return True


def awaited(conn: Connection, destination: str) -> int:
    """For how many deliveries to ``destination`` a report is awaited."""
    return int(conn.scalar(select(func.count()).where(_table.destination == destination, _open)) or 0)


def last_receipt(conn: Connection, destination: str) -> str:
    """What kind of receipt a PACS gave for the latest delivery it has, as words; empty before the first."""
    c = deliveries.c
    latest = select(c.receipt).where(c.destination == destination, c.state == "delivered")
    return str(conn.scalar(latest.order_by(c.created_at.desc()).limit(1)) or "").partition(";")[0]


def _transaction(row: Row[Any]) -> Transaction:
    return Transaction(
        transaction_uid=row.transaction_uid,
        stored=row.stored,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        failure_reason=row.failure_reason,
        closed=row.closed_at is not None,
    )
