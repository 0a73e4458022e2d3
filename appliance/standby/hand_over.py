"""Whose turn it is, on the first: after a start it sends only once the standby has said what it settled meanwhile.

And while the standby says that it stands in, nothing is sent from here. Both end by themselves when the standby is not
heard: a first box never waits for one that is not there.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Engine

from appliance.standby.gate import Gate
from appliance.standby.state import ensure_standing, heard_ago_s, remember
from store_forward.database import reading, writing

log = structlog.get_logger()
_PAUSE_S: Final = 0.2


class HandOver:
    """Keeps the gate of a first box's lanes; begins with it shut."""

    def __init__(
        self, engine: Engine, wait_s: float, silent_after_s: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``wait_s`` is the longest wait for the standby's word; ``monotonic`` gives seconds that nobody sets."""
        self.gate = Gate()
        self.gate.shut()
        self._engine = engine
        self._silent_after_s = silent_after_s
        self._monotonic = monotonic
        self._waits_until = monotonic() + wait_s
        self._session = secrets.token_hex(8)
        self._waits = True
        with writing(engine) as connection:
            remember(connection, session=self._session, still=False, turn=None)

    def run(self, stop: threading.Event) -> None:
        """Look until told to stop."""
        while not stop.is_set():
            self.step()
            stop.wait(_PAUSE_S)

    def step(self) -> None:
        """Open or shut the gate, and let the standby know once nothing is being sent."""
        with reading(self._engine) as connection:
            row = ensure_standing(connection)
        told, over = row.told_session == self._session, self._monotonic() >= self._waits_until
        if self._waits and (told or over):
            self._waits = False
            log.info("standby.heard" if told else "standby.not_heard")
        heard = heard_ago_s(row)
        if self._waits or (row.other_stands_in and heard is not None and heard < self._silent_after_s):
            self.gate.shut()
        else:
            self.gate.open()
        if row.still != self.gate.is_still():
            with writing(self._engine) as connection:
                remember(connection, still=self.gate.is_still())
