"""How fast a link is, and how busy it was, out of what the outbox counted by the hour. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store_forward.traffic import Hour

#: The latest of these spans in which something was carried tells the speed: its name, and its hours.
SPANS: Final = (("hour", 2), ("day", 24), ("week", 7 * 24))
_LEAST_BUSY_MS: Final = 1.0


@dataclass(frozen=True)
class Speed:
    """Bytes carried in a second of carrying; ``over`` is the span it was measured in."""

    bytes_per_s: float
    over: str


@dataclass(frozen=True)
class Traffic:
    """What arrived, oldest first: ``bars`` of bytes, each of ``hours_each`` hours, and the same as sums."""

    bars: tuple[int, ...]
    hours_each: int
    number: int
    size_bytes: int

    @property
    def most_bytes(self) -> int:
        """The highest bar."""
        return max(self.bars, default=0)


def speed(counted: Sequence[Hour], last: int) -> Speed | None:
    """The measured speed at hour ``last``; None when nothing was carried for a week.

    The last hour is the one that runs and the one before. Uploads at the same time are counted each for itself.
    """
    for over, span in SPANS:
        recent = [one for one in counted if last - span < one.hour <= last]
        size_bytes, busy_ms = sum(one.size_bytes for one in recent), sum(one.busy_ms for one in recent)
        if size_bytes:
            return Speed(size_bytes * 1000.0 / max(busy_ms, _LEAST_BUSY_MS), over)
    return None


def traffic(counted: Sequence[Hour], last: int, bars: int, hours_each: int) -> Traffic:
    """The hours up to ``last`` as bars."""
    start = last - bars * hours_each + 1
    within = [one for one in counted if start <= one.hour <= last]
    sums = [0] * bars
    for one in within:
        sums[(one.hour - start) // hours_each] += one.size_bytes
    return Traffic(tuple(sums), hours_each, sum(one.number for one in within), sum(sums))
