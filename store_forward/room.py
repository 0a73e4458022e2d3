"""How much room a disk has: four levels, a pure function of free bytes, three marks and the level before.

A level is entered as soon as free space falls below its mark, and left only when an eighth more than the mark is
free: a disk that hovers at a mark does not make senders and pages flap.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FIRST_BULK_PRIORITY: Final = 3
"""Deliveries and uploads of this priority number or a higher one are bulk: they can wait without harm."""

_MARGIN: Final = 8


class Room(IntEnum):
    """Each level does what the one before it does, and more."""

    PLENTY = 0
    LOW = 1  # people are warned
    NO_BULK = 2  # nothing is taken in or made that can wait
    FULL = 3  # nothing is taken in: 0xA700, HTTP 507

    @property
    def word(self) -> str:
        """As pages, logs and the database say it: plenty, low, no_bulk, full."""
        return self.name.lower()


@dataclass(frozen=True)
class Marks:
    """Free disk, bytes, below which each level begins; a mark below the next lower one counts as that one."""

    warn_bytes: int
    bulk_bytes: int
    floor_bytes: int

    def of(self, room: Room) -> int:
        """The mark of one level; 0 for plenty."""
        bulk = max(self.bulk_bytes, self.floor_bytes)
        return (0, max(self.warn_bytes, bulk), bulk, self.floor_bytes)[room]

    def left_at(self, room: Room) -> int:
        """Free bytes from which this level is left again."""
        return self.of(room) + self.of(room) // _MARGIN


def room_of(word: str) -> Room:
    """The level of this word. Raises KeyError for any other."""
    return Room[word.upper()]


def room_at(free_bytes: int, marks: Marks, before: Room = Room.PLENTY) -> Room:
    """The level at ``free_bytes`` when it was ``before`` until now."""
    if free_bytes >= marks.left_at(Room.LOW):  # the highest of all marks
        return Room.PLENTY
    entered = max((room for room in Room if free_bytes < marks.of(room)), default=Room.PLENTY)
    not_left = max((room for room in Room if free_bytes < marks.left_at(room)), default=Room.PLENTY)
    return max(entered, min(before, not_left))
