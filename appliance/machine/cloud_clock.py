"""The cloud's clock beside ours, as its answers tell it: to about a second, enough to see one that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from appliance.machine.machine_tables import cloud_clock
from store_forward.database import writing

log = structlog.get_logger()

#: A smaller change, s, is within what a Date header tells.
LEAST_CHANGE_S: Final = 2.0
NOTED_AGAIN_S: Final = 600.0


@dataclass(frozen=True)
class CloudClock:
    """The cloud's clock was ``ahead_s`` ahead (or behind, below 0) when ours showed ``at`` (epoch s)."""

    ahead_s: float
    at: float


class CloudClockRecord:
    """Writes it down when it changes, and every ten minutes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._noted: CloudClock | None = None

    def note(self, ahead_s: float | None, now: float) -> None:
        """After every answer; None where it told no time."""
        last = self._noted
        if ahead_s is None:
            return
        if last is not None and abs(ahead_s - last.ahead_s) < LEAST_CHANGE_S and 0 <= now - last.at < NOTED_AGAIN_S:
            return
        new = insert(cloud_clock).values(name="cloud", ahead_s=ahead_s, at=now)
        try:
            with writing(self._engine) as conn:
                conn.execute(new.on_conflict_do_update(index_elements=["name"], set_={"ahead_s": ahead_s, "at": now}))
        except OperationalError as error:  # a full disk must not keep answers from being asked for
            log.warning("cloud_clock.not_noted", kind=type(error.orig).__name__)
            return
        self._noted = CloudClock(ahead_s, now)


def cloud_clock_of(conn: Connection) -> CloudClock | None:
    """As it was last written down; None before the cloud has answered."""
    row = conn.execute(select(cloud_clock.c.ahead_s, cloud_clock.c.at)).one_or_none()
    return None if row is None else CloudClock(*row)
