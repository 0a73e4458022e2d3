"""The book of tests: who asked which destination or peer when, and what came of it. One test of each at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    Row,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError

from appliance.results.probe import Outcome, probe
from appliance.settings import Settings
from store_forward.database import METADATA, writing

log = structlog.get_logger()
#: So many tests run at the same time, from the page and the command line together.
MOST_AT_ONCE: Final = 4
#: A test that has not ended after so long never will: its process is gone, s.
ABANDONED_S: Final = 60.0
_KEPT_OF_EACH: Final = 50

#: ``ended_at`` is null while a test runs. Times are seconds since 1970-01-01 UTC.
probes = Table(
    "probes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("target", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("ok", Boolean),
    Column("cause", Text, nullable=False, default=""),
    Column("words", Text, nullable=False, default=""),
    Column("duration_s", Float),
    Index("probes_by_target", "target", "id"),
)


@dataclass(frozen=True)
class Entry:
    """One test; ``outcome`` is None while it runs, and when it was given up."""

    target: str
    asked_by: str
    began_at: float
    ended_at: float | None
    outcome: Outcome | None

    def runs(self, now: float) -> bool:
        """Whether it is still under way."""
        return self.ended_at is None and now - self.began_at < ABANDONED_S


def begin(connection: Connection, target: str, asked_by: str, now: float) -> int | None:
    """Note that a test begins, and return its number; None when one of this target, or too many others, run."""
    c = probes.c
    running = connection.execute(select(c.target).where(c.ended_at.is_(None), c.began_at > now - ABANDONED_S)).scalars()
    others = list(running)
    if target in others or len(others) >= MOST_AT_ONCE:
        return None
    row = {"target": target, "asked_by": asked_by, "began_at": now}
    number = connection.execute(insert(probes).values(**row).returning(c.id)).scalar_one()
    old = select(c.id).where(c.target == target).order_by(c.id.desc()).limit(1).offset(_KEPT_OF_EACH)
    connection.execute(probes.delete().where(c.target == target, c.id <= old.scalar_subquery()))
    return int(number)


def carry_out(settings: Settings, engine: Engine, number: int, target: str, clock: Callable[[], float]) -> Outcome:
    """Ask, and write down what came of it."""
    outcome = probe(settings, target)
    log.info("destination.tested", target=target, ok=outcome.ok, cause=outcome.cause)
    row = {
        "ended_at": clock(),
        "ok": outcome.ok,
        "cause": outcome.cause,
        "words": outcome.words,
        "duration_s": outcome.duration_s,
    }
    with writing(engine) as connection:
        connection.execute(update(probes).where(probes.c.id == number).values(**row))
    return outcome


def start(settings: Settings, engine: Engine, number: int, target: str, clock: Callable[[], float]) -> None:
    """The same in a thread of its own, which ends by itself."""

    def run() -> None:
        try:
            carry_out(settings, engine, number, target, clock)
        except DatabaseError as error:  # the test is then shown as given up
            log.warning("destination.test_not_noted", kind=type(error.orig).__name__)

    threading.Thread(target=run, daemon=True, name=f"test of {target}").start()


def latest(connection: Connection) -> dict[str, Entry]:
    """The newest test of every target."""
    newest = select(func.max(probes.c.id)).group_by(probes.c.target)
    found = connection.execute(select(probes).where(probes.c.id.in_(newest)))
    return {row.target: _entry(row) for row in found}


def _entry(row: Row[Any]) -> Entry:
    outcome = None
    if row.ended_at is not None:
        outcome = Outcome(bool(row.ok), row.cause, row.words, row.duration_s)
    return Entry(row.target, row.asked_by, row.began_at, row.ended_at, outcome)


def at_once(settings: Settings, engine: Engine, target: str, asked_by: str) -> Outcome | None:
    """Test and wait for it; None when a test of this target, or too many others, run already."""
    with writing(engine) as connection:
        number = begin(connection, target, asked_by, time.time())
    return None if number is None else carry_out(settings, engine, number, target, time.time)


def mark(connection: Connection) -> list[object]:
    """Another value whenever a test has begun or ended."""
    return list(connection.execute(select(func.max(probes.c.id), func.max(probes.c.ended_at))).one())
