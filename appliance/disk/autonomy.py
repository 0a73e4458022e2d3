"""For how long the disk lasts, from the box's own record of what came in. Pure; days are whole, sizes bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LONGEST_RECORD_DAYS: Final = 14


@dataclass(frozen=True)
class Day:
    """One day (since 1970-01-01 UTC): received from scanners, made by the box, deleted by retention."""

    day: int
    received_bytes: int
    made_bytes: int
    deleted_bytes: int

    @property
    def load_bytes(self) -> int:
        """What the day put onto the disk."""
        return self.received_bytes + self.made_bytes


@dataclass(frozen=True)
class Autonomy:
    """How long the disk lasts; every figure is None while it is not known, or while nothing fills the disk.

    ``recorded_days`` whole days are behind it. ``alone_days``: until reception has to stop when nothing can be sent
    and so nothing may be deleted. ``full_in_days``: when things go on as they did, with what retention deletes.
    """

    recorded_days: int
    load_bytes_per_day: float | None
    alone_days: float | None
    full_in_days: float | None


def autonomy(record: Sequence[Day], today: int, free_bytes: int, floor_bytes: int) -> Autonomy:
    """Estimate from the last 1 to 14 whole days; today counts where it is already busier than their mean.

    The day a box was first used is no whole day. A day without a record between two others was idle.
    """
    first = min((day.day for day in record), default=today)
    window = [day for day in record if today - LONGEST_RECORD_DAYS <= day.day < today and day.day > first]
    start = max(first + 1, today - LONGEST_RECORD_DAYS)
    if window and first < today - LONGEST_RECORD_DAYS:
        start = min(day.day for day in window)  # what lies before may be a clock that was wrong
    whole = today - start
    if whole < 1:
        return Autonomy(0, None, None, None)
    so_far = sum(day.load_bytes for day in record if day.day == today)
    load = max(sum(day.load_bytes for day in window) / whole, so_far)
    growth = load - sum(day.deleted_bytes for day in window) / whole
    room = max(free_bytes - floor_bytes, 0)
    return Autonomy(whole, load, _days(room, load), _days(room, growth))


def _days(room_bytes: int, bytes_per_day: float) -> float | None:
    return room_bytes / bytes_per_day if bytes_per_day > 0 else None
