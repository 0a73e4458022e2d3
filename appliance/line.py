"""What the lanes of one destination share: how urgent the deliveries are that they carry, and when bulk may go.

Several uploads of equal urgency go at once. What is more urgent has the line to itself, because anything beside it
would take bandwidth from it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance.triage.deliveries import BULK


@dataclass(frozen=True)
class Window:
    """A time of day in minutes after midnight, ``from_minute`` inclusive; it may go past midnight."""

    from_minute: int
    until_minute: int

    @classmethod
    def between(cls, begin: str, end: str) -> Window:
        """From two times as HH:MM."""
        return cls(_minute(begin), _minute(end))

    def is_open(self, minute: int) -> bool:
        """Whether this minute of the day lies within."""
        if self.from_minute < self.until_minute:
            return self.from_minute <= minute < self.until_minute
        return minute >= self.from_minute or minute < self.until_minute


class Line:
    """Asked by each lane what may go. Without a window, bulk may always."""

    def __init__(self, bulk_window: Window | None = None) -> None:
        self._bulk_window = bulk_window
        self._lock = threading.Lock()
        self._carried: list[int] = []
        self._begun = False

    def begin(self, take_back: Callable[[], None]) -> None:
        """Asked by every lane before it carries anything: the first does this, the others wait for it."""
        with self._lock:
            if not self._begun:
                take_back()
            self._begun = True

    def least_urgent(self, now: float) -> int | None:
        """The highest priority number that a lane may take at ``now``, epoch seconds; None: any."""
        with self._lock:
            limits = [*self._carried]
        if not self.window_open_for(BULK, now):
            limits.append(BULK - 1)
        return min(limits, default=None)

    def carries_more_urgent(self, priority: int) -> bool:
        """Whether any lane carries something that goes before this priority."""
        with self._lock:
            return any(one < priority for one in self._carried)

    def window_open_for(self, priority: int, now: float) -> bool:
        """Whether the time of day allows it: always, but for bulk outside its window."""
        if priority < BULK or self._bulk_window is None:
            return True
        local = time.localtime(now)
        return self._bulk_window.is_open(local.tm_hour * 60 + local.tm_min)

    @contextmanager
    def carrying(self, priority: int) -> Iterator[None]:
        """While a lane carries a delivery of this priority."""
        with self._lock:
            self._carried.append(priority)
        try:
            yield
        finally:
            with self._lock:
                self._carried.remove(priority)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
