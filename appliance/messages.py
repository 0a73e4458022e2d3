"""Messages from the cloud at the box: kept as they came, judged by the triage worker, and their outcome told back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from appliance.schema import messages
from store_forward.protocol import Message, MessageOutcome, Outcome

_MOST_TOLD = 500
_MOST_SHOWN = 20
_c = messages.c


@dataclass(frozen=True)
class OpenNotice:
    """A notice that nobody has acknowledged yet; ``level`` is "info" or "warning"."""

    seq: int
    level: str
    text: str


def keep_message(connection: Connection, message: Message, now: float) -> None:
    """Keep what came down, in the transaction that moves the cursor; what is kept already stays as it is."""
    row = {"seq": message.seq, "kind": message.kind, "body": message.body, "sent_at": message.sent_at}
    connection.execute(insert(messages).values(**row, received_at=now).on_conflict_do_nothing())


def untold(connection: Connection) -> list[Outcome]:
    """What became of messages and the cloud does not know yet, oldest message first."""
    query = select(messages).where(_c.outcome.is_not(None), _c.told_at.is_(None)).order_by(_c.seq).limit(_MOST_TOLD)
    return [
        Outcome(seq=row.seq, outcome=MessageOutcome(row.outcome), reason=row.reason, at=max(row.outcome_at, 0.0))
        for row in connection.execute(query)
    ]


def mark_told(connection: Connection, told: list[Outcome], now: float) -> None:
    """The cloud has these; one that has become something else meanwhile is told again."""
    for one in told:
        same = update(messages).where(_c.seq == one.seq, _c.outcome == one.outcome.value)
        connection.execute(same.values(told_at=now))


def open_notices(connection: Connection) -> list[OpenNotice]:
    """Every notice that a person has not acknowledged, the newest first; bounded."""
    shown = select(_c.seq, _c.body).where(_c.kind == "notice", _c.outcome == MessageOutcome.SHOWN.value)
    rows = connection.execute(shown.order_by(_c.seq.desc()).limit(_MOST_SHOWN))
    return [OpenNotice(row.seq, row.body["level"], row.body["text"]) for row in rows]


def acknowledge(connection: Connection, seq: int, now: float) -> bool:
    """A person has read this notice. False when there is none with this number; asking again changes nothing."""
    row = connection.execute(select(_c.outcome).where(_c.seq == seq, _c.kind == "notice")).one_or_none()
    if row is None or row.outcome not in (MessageOutcome.SHOWN, MessageOutcome.ACKNOWLEDGED):
        return False
    shown = update(messages).where(_c.seq == seq, _c.outcome == MessageOutcome.SHOWN.value)
    values = {"outcome": MessageOutcome.ACKNOWLEDGED.value, "outcome_at": now, "told_at": None}
    connection.execute(shown.values(**values))
    return True
