"""What makes the page live: a digest of the state that is cheap to take, and the stream that sends it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

from sqlalchemy import Connection, Engine, func, select
from sse_starlette import ServerSentEvent

from appliance.disk.tables import quarantined, take_ups
from appliance.packs import packs_mark
from appliance.results.probe_book import mark as probes_mark
from appliance.schema import StudyState, devices, messages, processes, set_aside, studies, study_events
from appliance.settings import Settings
from appliance.standby.state import standing_row
from appliance.start.standing import STANDING, stamp_of
from appliance.web.box import Storage, Surroundings, storage, take_surroundings
from appliance.web.standing import is_silent
from hardware.readings import Meter, Readings
from store_forward.database import reading
from store_forward.outbox import delivery_events, destinations
from store_forward.spool import Spool

#: How often the state is looked at while somebody watches, s.
LOOK_EVERY_S = 1.0
#: After so many looks without a change the digest is sent again, so that a broken stream shows.
REPEAT_AFTER_LOOKS = 10
#: How long what is slow to find out is believed, s.
SURROUNDINGS_KEPT_S = 60.0
#: Over how long, s, the machine's load is taken at least.
MACHINE_KEPT_S = 3.0

_UNSETTLED = [state.value for state in StudyState if state is not StudyState.SETTLED]


def state_digest(conn: Connection, now: float, disk: Storage, start: object = None) -> str:
    """A short digest that changes whenever something on the page does, and once a minute for the ages.

    Every change of a study or delivery appends an event, so the newest event numbers stand for them all. ``start`` is
    another value whenever what the supervisor says of the configuration changes.
    """
    c = studies.c
    by_state = select(c.state, func.count()).where(c.state.in_(_UNSETTLED)).group_by(c.state).order_by(c.state)
    contacts = select(destinations.c.name, destinations.c.state, destinations.c.since, destinations.c.detail)
    marks = [
        conn.scalar(select(func.max(study_events.c.id))),
        conn.scalar(select(func.max(delivery_events.c.id))),
        conn.scalar(select(func.max(set_aside.c.id))),
        conn.scalar(select(func.max(messages.c.outcome_at))),
        conn.scalar(select(func.max(c.last_received_at))),
        conn.scalar(select(func.max(devices.c.measured_at))),
        [list(row) for row in conn.execute(by_state)],
        [list(row) for row in conn.execute(contacts.order_by(destinations.c.name))],
        [
            [row.name, row.pid, row.state, row.restarts, row.detail, is_silent(row.beat_at, now)]
            for row in conn.execute(select(processes).order_by(processes.c.name))
        ],
        disk.room,
        conn.scalar(select(func.count()).select_from(quarantined).where(quarantined.c.mended_at.is_(None))),
        conn.scalar(select(func.max(take_ups.c.done_at))),
        probes_mark(conn),
        start,
        _of_two(conn),
        int(now // 60),
    ]
    return hashlib.sha256(json.dumps(marks).encode()).hexdigest()[:16]


def _of_two(conn: Connection) -> list[object]:
    """What the page says of the other box of two."""
    row = standing_row(conn)
    return [] if row is None else [row.turn, row.trouble, row.differences, row.other_stands_in]


class Watch:
    """The state digest and the slow facts, each looked up once per interval however many are watching."""

    def __init__(self, settings: Settings, engine: Engine, spool: Spool, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._engine = engine
        self._spool = spool
        self._clock = clock
        self._lock = threading.Lock()
        self._digest: tuple[float, str] | None = None
        self._surroundings: tuple[float, Surroundings] | None = None
        self._packs_mark: object = None
        self._meter = Meter()
        self._machine: tuple[float, Readings] | None = None

    def digest(self) -> str:
        """The digest as it was at most ``LOOK_EVERY_S`` ago. Raises sqlalchemy.exc.DatabaseError."""
        with self._lock:
            now = self._clock()
            if self._digest is None or not 0 <= now - self._digest[0] < LOOK_EVERY_S:
                start = stamp_of(self._settings.home / STANDING)
                with reading(self._engine) as conn:
                    disk = storage(conn, self._settings, self._spool)
                    self._digest = now, state_digest(conn, now, disk, start)
            return self._digest[1]

    def surroundings(self) -> Surroundings:
        """The slow facts as they were at most ``SURROUNDINGS_KEPT_S`` ago, and since the last activation of a pack.

        Raises OSError.
        """
        with self._lock:
            now, mark = self._clock(), packs_mark(self._settings)
            kept = self._surroundings
            if kept is None or mark != self._packs_mark or not 0 <= now - kept[0] < SURROUNDINGS_KEPT_S:
                kept = self._surroundings = now, take_surroundings(self._settings, self._spool)
                self._packs_mark = mark
            return kept[1]

    def machine(self) -> Readings:
        """The machine as it was at most ``MACHINE_KEPT_S`` ago; its load since the look before."""
        with self._lock:
            now = self._clock()
            if self._machine is None or not 0 <= now - self._machine[0] < MACHINE_KEPT_S:
                self._machine = now, self._meter.read()
            return self._machine[1]


async def changes(
    look: Callable[[], Awaitable[str]], pause: Callable[[float], Awaitable[None]]
) -> AsyncIterator[ServerSentEvent]:
    """Send the digest at once, on every change, and again after a quiet while. Ends only when cancelled."""
    sent: str | None = None
    quiet = 0
    while True:
        digest = await look()
        quiet = 0 if digest != sent else quiet + 1
        if digest != sent or quiet >= REPEAT_AFTER_LOOKS:
            sent, quiet = digest, 0
            yield ServerSentEvent(data=digest, event="state")
        await pause(LOOK_EVERY_S)
