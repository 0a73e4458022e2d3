"""Messages: what the operator sends to boxes beside answers, in the same numbering, and what each box did with it.

A message to several boxes is a row for each. Its outcome comes back from the box and stays in that row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from store_forward.cloud.cases import answer_feed, answers_after, boxes
from store_forward.protocol import Answers, Message, MessageOutcome, NoticeBody, Outcomes, ThresholdsBody

_feed = answer_feed.c
_KINDS = {NoticeBody: "notice", ThresholdsBody: "thresholds"}


@dataclass(frozen=True)
class SentMessage:
    """A message and what became of it; the last three None until the box has said so. Times in epoch seconds."""

    seq: int
    box: str
    kind: str
    body: dict[str, Any]
    sent_at: float
    outcome: str | None
    reason: str | None
    outcome_at: float | None


def send(conn: Connection, to: Sequence[str], body: NoticeBody | ThresholdsBody, now: float) -> list[int]:
    """Number a message for each of these boxes; returns the numbers."""
    row = {"kind": _KINDS[type(body)], "body": body.model_dump(), "sent_at": now}
    numbered = (conn.execute(insert(answer_feed).values(box=box, **row).returning(_feed.seq)) for box in to)
    return [int(one.scalar_one()) for one in numbered]


def feed_after(conn: Connection, box: str, after: int, limit: int) -> Answers:
    """The answers and messages for one box with a number above ``after``: the lowest ones, at most ``limit``."""
    query = select(answer_feed).where(_feed.box == box, _feed.seq > after, _feed.kind.is_not(None))
    rows = conn.execute(query.order_by(_feed.seq).limit(limit)).all()
    messages = [Message(seq=row.seq, kind=row.kind, sent_at=row.sent_at, body=row.body) for row in rows]
    found = Answers(answers=answers_after(conn, box, after, limit), messages=messages)
    last = found.numbers[:limit][-1:]
    return Answers(
        answers=[one for one in found.answers if [one.seq] <= last],
        messages=[one for one in messages if [one.seq] <= last],
    )


def knows(conn: Connection, box: str) -> bool:
    """Whether this box has ever asked for answers."""
    return conn.execute(select(boxes.c.name).where(boxes.c.name == box)).first() is not None


def meet(conn: Connection, box: str, now: float) -> None:
    """Note that this box asks for answers; no change if it is known."""
    conn.execute(insert(boxes).values(name=box, first_asked_at=now).on_conflict_do_nothing())


def known_boxes(conn: Connection) -> list[str]:
    """Every box that has ever asked for answers."""
    return list(conn.execute(select(boxes.c.name).order_by(boxes.c.name)).scalars())


def note(conn: Connection, told: Outcomes) -> None:
    """Keep what a box says of its messages; of a message that is not this box's nothing is kept.

    What a person has acknowledged stays so, should an earlier word come late.
    """
    for one in told.outcomes:
        mine = update(answer_feed).where(_feed.seq == one.seq, _feed.box == told.box, _feed.kind.is_not(None))
        if one.outcome is not MessageOutcome.ACKNOWLEDGED:
            mine = mine.where(_feed.outcome.is_distinct_from(MessageOutcome.ACKNOWLEDGED.value))
        conn.execute(mine.values(outcome=one.outcome.value, reason=one.reason, outcome_at=one.at))


def sent(conn: Connection, box: str | None, limit: int) -> list[SentMessage]:
    """The latest messages, to all boxes or to one, the newest first."""
    query = select(answer_feed).where(_feed.kind.is_not(None)).order_by(_feed.seq.desc()).limit(limit)
    rows = conn.execute(query.where(_feed.box == box) if box is not None else query)
    return [
        SentMessage(row.seq, row.box, row.kind, row.body, row.sent_at, row.outcome, row.reason, row.outcome_at)
        for row in rows
    ]
