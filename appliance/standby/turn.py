"""Whose turn it is, on the standby: it holds its deliveries while the first is heard, and carries them when it is not.

*Heard* is a pulse that names no silent process. Silence is measured with the monotonic clock and from this process's
own start, so no clock that is set can bring it about. While it stands in it goes on asking. A first that can be reached
is told beforehand and stops sending. When the first is heard again, the order is: shut the gate, wait until nothing is
being sent, take over what the first has settled, tell it what was settled here; only then does the first send again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog
from sqlalchemy import Engine

from appliance.settings import Settings
from appliance.standby.gate import Gate
from appliance.standby.link import NoPulse
from appliance.standby.marks import Page, delivered_since, keep_marks
from appliance.standby.sameness import differences, sameness_of
from appliance.standby.state import Turn, ensure_standing, remember
from appliance.standby.words import Pulse, Word
from store_forward.database import reading, writing

log = structlog.get_logger()
#: Pause between two exchanges, s: less when ``silent_after_s`` is short.
LONGEST_PAUSE_S: Final = 2.0
_QUICK_S: Final = 0.2
#: How long a first that can be reached may take to stop sending before the standby begins, s.
_COMES_TO_REST_S: Final = 10.0


class Asks(Protocol):
    """What :class:`appliance.standby.link.FirstBox` does."""

    def exchange(self, word: Word, own_log: str) -> Pulse:
        """Raises NoPulse."""


class StandbyTurn:
    """Keeps the gate of a standby's lanes; begins with it shut."""

    def __init__(
        self, settings: Settings, engine: Engine, first: Asks, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``monotonic`` gives seconds that nobody sets."""
        self.gate = Gate()
        self.gate.shut()
        self._settings = settings
        self._engine = engine
        self._first = first
        self._monotonic = monotonic
        self._silent_after_s = settings.standby.silent_after_s
        self._heard_at = monotonic()
        self._sound = False
        self._announced_at: float | None = None
        self._session = ""
        self._turn = Turn.STANDING_BY
        with writing(engine) as connection:
            self._log = ensure_standing(connection).log
            remember(connection, turn=self._turn.value, since=time.time(), trouble="", differences="")

    def turn(self) -> Turn:
        """Whether it stands by or stands in."""
        return self._turn

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop."""
        pause_s = min(LONGEST_PAUSE_S, self._silent_after_s / 5)
        while not stop.is_set():
            stop.wait(_QUICK_S if self.step() else pause_s)

    def step(self) -> bool:
        """One exchange and what follows from it; True when the next should come at once."""
        with reading(self._engine) as connection:
            row = ensure_standing(connection)
            page = delivered_since(connection, row.told_deliveries, "the standby")
        steps_back = self._sound and self.gate.is_still()
        word = Word(
            stands_in=self._announced_at is not None and not steps_back,
            delivered=page.marks,
            told=self._session if self._may_say_all_is_told(steps_back, page) else "",
            log=row.first_log,
            read_deliveries=row.read_deliveries,
            read_studies=row.read_studies,
        )
        try:
            pulse = self._first.exchange(word, self._log)
        except NoPulse as none:
            self._unsound(None, str(none))
            return False
        self._take(pulse, page, row.first_log)
        if pulse.silent:
            self._unsound(pulse, f"its {' and '.join(pulse.silent)} process does not report")
            return pulse.more or page.more
        self._is_heard(word)
        untold = self._session != pulse.session
        self._session = pulse.session
        under_way = bool(pulse.settled) or self._announced_at is not None
        return pulse.more or page.more or untold or under_way

    def _may_say_all_is_told(self, steps_back: bool, page: Page) -> bool:
        rests = self._announced_at is None or steps_back
        return rests and self.gate.is_still() and not page.more

    def _take(self, pulse: Pulse, told: Page, known_log: str) -> None:
        """Keep what the first has settled, and how far both histories have been read, in one transaction."""
        same_history = pulse.log == known_log  # another one has been told nothing yet
        with writing(self._engine) as connection:
            keep_marks(connection, pulse.settled, time.time())
            found = differences(sameness_of(connection, self._settings), pulse.same)
            remember(
                connection,
                first_log=pulse.log,
                read_deliveries=pulse.read_deliveries,
                read_studies=pulse.read_studies,
                told_deliveries=told.read_to if same_history else 0,
                differences="\n".join(found),
            )

    def _is_heard(self, word: Word) -> None:
        self._sound, self._heard_at = True, self._monotonic()
        if self._announced_at is None:
            self._note(Turn.STANDING_BY, "")
        elif word.stands_in:
            self.gate.shut()
        else:
            self._announced_at = None
            self._note(Turn.STANDING_BY, "")

    def _unsound(self, pulse: Pulse | None, why: str) -> None:
        self._sound = False
        now = self._monotonic()
        if now - self._heard_at < self._silent_after_s:
            self._note(self._turn, why)
            return
        if self._announced_at is None:
            self._announced_at = now
        rests = pulse is None or pulse.still or now - self._announced_at > _COMES_TO_REST_S
        if self._turn is Turn.STANDING_IN or rests:
            self._note(Turn.STANDING_IN, why)
            self.gate.open()

    def _note(self, turn: Turn, trouble: str) -> None:
        """Write turn and trouble down where the page finds them, before anything is done about it."""
        changed = {"turn": turn.value, "since": time.time()} if turn is not self._turn else {}
        with reading(self._engine) as connection:
            row = ensure_standing(connection)
        if changed or row.trouble != trouble:
            with writing(self._engine) as connection:
                remember(connection, trouble=trouble, **changed)
        if changed:
            log.warning("standby.turn", turn=turn.value, cause=trouble)
        self._turn = turn
