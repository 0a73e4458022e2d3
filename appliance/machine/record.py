"""A row a minute about the machine, for the plots of the page; and every jump of its clock."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from appliance.machine.machine_tables import clock_jumps, machine_minutes
from appliance.schema import studies
from hardware.readings import Meter
from store_forward.database import reading, writing

log = structlog.get_logger()

MINUTE_S: Final = 60.0
KEPT_MINUTES: Final = 1440
KEPT_JUMPS: Final = 100
#: A clock that is being corrected slowly does not jump; a leap second does not count either.
LEAST_JUMP_S: Final = 1.5
_ARRIVED_AT_MOST_S: Final = 3600.0
_MOST_STUDIES: Final = 500


@dataclass(frozen=True)
class Minute:
    """The machine over one minute (since 1970-01-01 UTC); None for what is not known."""

    minute: int
    cpu_share: float | None
    memory_used_bytes: int | None
    temperature_celsius: float | None
    power_w: float | None
    latency_ms: float | None


@dataclass(frozen=True)
class Jump:
    """The clock was set by ``by_s`` seconds, and showed ``at`` (epoch s) then."""

    at: float
    by_s: float


class MachineRecord:
    """Writes down a minute whenever one has passed. ``clock`` gives epoch seconds, ``steady`` seconds nobody sets."""

    def __init__(self, engine: Engine, meter: Meter, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._engine, self._meter = engine, meter
        self._clock, self._steady = clock, steady
        self._before = clock(), steady()

    def run(self, stop: threading.Event) -> None:
        """Go on until ``stop``; a disk that takes no row leaves a gap."""
        while not stop.wait(MINUTE_S):
            try:
                self.note()
            except OperationalError as error:
                log.warning("machine.not_noted", kind=type(error.orig).__name__)

    def note(self) -> None:
        """Write down the time since the last call. Raises sqlalchemy.exc.OperationalError."""
        now, steady = self._clock(), self._steady()
        jump_s = (now - self._before[0]) - (steady - self._before[1])
        self._before = now, steady
        seen = self._meter.read()
        with reading(self._engine) as conn:
            latency_ms = _latency_ms(conn, now)
        row = {
            "minute": int(now // MINUTE_S),
            "cpu_share": seen.cpu_share,
            "memory_used_bytes": seen.memory_total_bytes - seen.memory_available_bytes,
            "temperature_celsius": seen.hottest.celsius if seen.hottest else None,
            "power_w": seen.power_w,
            "latency_ms": latency_ms,
        }
        with writing(self._engine) as conn:
            _keep(conn, row, Jump(now, jump_s) if abs(jump_s) >= LEAST_JUMP_S else None)


def steady_seconds() -> float:
    """Seconds since the machine was started, also through its sleep; nobody can set them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def last_day(conn: Connection, now: float) -> list[Minute]:
    """The minutes of the last day that were written down, the oldest first."""
    c = machine_minutes.c
    this = int(now // MINUTE_S)
    rows = conn.execute(
        select(machine_minutes).where(c.minute > this - KEPT_MINUTES, c.minute <= this).order_by(c.minute)
    )
    return [Minute(*row) for row in rows]


def jumps(conn: Connection, most: int) -> list[Jump]:
    """When the clock was set, the latest first."""
    c = clock_jumps.c
    return [Jump(*row) for row in conn.execute(select(c.at, c.by_s).order_by(c.id.desc()).limit(most))]


def _keep(conn: Connection, row: dict[str, Any], jump: Jump | None) -> None:
    new = insert(machine_minutes).values(**row)
    conn.execute(new.on_conflict_do_update(index_elements=["minute"], set_=row))
    minute = machine_minutes.c.minute
    # What lies ahead was written by a clock that was wrong.
    conn.execute(delete(machine_minutes).where(or_(minute <= row["minute"] - KEPT_MINUTES, minute > row["minute"])))
    if jump is not None:
        conn.execute(insert(clock_jumps).values(at=jump.at, by_s=jump.by_s))
        newest = conn.scalar(select(func.max(clock_jumps.c.id))) or 0
        conn.execute(delete(clock_jumps).where(clock_jumps.c.id <= newest - KEPT_JUMPS))


def _latency_ms(conn: Connection, now: float) -> float | None:
    c = studies.c
    arrived = c.last_received_at.between(now - _ARRIVED_AT_MOST_S, now)
    decided = select(c.latency_ms).where(arrived, c.decided_at > now - MINUTE_S, c.latency_ms.is_not(None))
    found = conn.scalars(decided.order_by(c.last_received_at.desc()).limit(_MOST_STUDIES)).all()
    return statistics.median(found) if found else None
