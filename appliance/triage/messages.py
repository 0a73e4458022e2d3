"""What the cloud sends beside answers is judged here, one message after the other, and the verdict kept.

New lines are taken over only if they settle no more than the pack's own: what they change is that more is escalated.
Lines that would settle more need a pack with a bound of its own for them, and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.dialects.sqlite import insert

from appliance.schema import lines, messages
from models.decision import Lines, Thresholds, settles_no_more
from models.pack import ModelPack
from store_forward.database import reading, writing
from store_forward.protocol import MessageOutcome, NoticeBody, ThresholdsBody

log = structlog.get_logger()


class Refusal(StrEnum):
    """Why a message was not taken over."""

    SETTLES_MORE = "settles_more"
    PACK_NOT_IN_USE = "pack_not_in_use"
    UNREADABLE = "unreadable"
    UNKNOWN_KIND = "unknown_kind"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a message; ``taken`` are the lines it brings, if they are taken over."""

    outcome: MessageOutcome
    reason: Refusal | None = None
    taken: ThresholdsBody | None = None


def judge(kind: str, body: Mapping[str, Any], packs: Mapping[str, ModelPack]) -> Verdict:
    """What becomes of one message on a box where these packs are in use, by digest."""
    try:
        if kind == "notice":
            NoticeBody.model_validate(body)
            return Verdict(MessageOutcome.SHOWN)
        if kind == "thresholds":
            return _judge_lines(ThresholdsBody.model_validate(body), packs)
    except ValidationError:
        return Verdict(MessageOutcome.REFUSED, Refusal.UNREADABLE)
    return Verdict(MessageOutcome.REFUSED, Refusal.UNKNOWN_KIND)


def _judge_lines(body: ThresholdsBody, packs: Mapping[str, ModelPack]) -> Verdict:
    """Raises ValidationError when the lines are in no order."""
    new = Thresholds(routine_below=body.routine_below, urgent_from=body.urgent_from)
    pack = packs.get(body.pack_digest)
    if pack is None:
        return Verdict(MessageOutcome.REFUSED, Refusal.PACK_NOT_IN_USE)
    if not settles_no_more(new, pack.manifest.thresholds):
        return Verdict(MessageOutcome.REFUSED, Refusal.SETTLES_MORE)
    return Verdict(MessageOutcome.APPLIED, taken=body)


def apply_next_message(engine: Engine, packs: Mapping[str, ModelPack], now: float) -> bool:
    """Judge the oldest message that waits and write verdict and lines in one transaction; False when none waits."""
    oldest = select(messages).where(messages.c.outcome.is_(None)).order_by(messages.c.seq).limit(1)
    with reading(engine) as connection:
        row = connection.execute(oldest).one_or_none()
    if row is None:
        return False
    verdict = judge(row.kind, row.body, packs)
    with writing(engine) as connection:
        if verdict.taken is not None:
            _take(connection, row, verdict.taken, now)
        values = {"outcome": verdict.outcome.value, "reason": verdict.reason, "outcome_at": now}
        connection.execute(update(messages).where(messages.c.seq == row.seq).values(**values))
    log.info("message.judged", kind=row.kind, outcome=verdict.outcome.value, reason=verdict.reason)
    return True


def lines_in_use(connection: Connection) -> dict[str, Lines]:
    """The lines that stand instead of a pack's own, by its digest. No bound has been shown for them."""
    return {
        row.pack_digest: Lines(
            Thresholds(routine_below=row.routine_below, urgent_from=row.urgent_from), f"message {row.seq} of the cloud"
        )
        for row in connection.execute(select(lines))
    }


def _take(connection: Connection, row: Row[Any], body: ThresholdsBody, now: float) -> None:
    """The message with the higher number stands, whichever is judged first."""
    new = insert(lines).values(
        pack_digest=body.pack_digest,
        seq=row.seq,
        routine_below=body.routine_below,
        urgent_from=body.urgent_from,
        since=now,
    )
    changed = {name: new.excluded[name] for name in ("seq", "routine_below", "urgent_from", "since")}
    connection.execute(
        new.on_conflict_do_update(index_elements=["pack_digest"], set_=changed, where=lines.c.seq < new.excluded.seq)
    )
