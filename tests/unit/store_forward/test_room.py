"""Four levels of free disk, entered at a mark and left a margin above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from store_forward.errors import SpoolFull
from store_forward.room import Marks, Room, room_at, room_of
from store_forward.spool import Spool

MARKS = Marks(warn_bytes=4000, bulk_bytes=2000, floor_bytes=1000)


@pytest.mark.parametrize(
    ("free", "room"),
    [(4000, Room.PLENTY), (3999, Room.LOW), (2000, Room.LOW), (1999, Room.NO_BULK), (1000, Room.NO_BULK),
     (999, Room.FULL), (0, Room.FULL)],
)  # fmt: skip
def test_a_level_begins_below_its_mark(free: int, room: Room) -> None:
    """At the mark itself there is still room."""
    assert room_at(free, MARKS) is room


def test_a_level_is_left_an_eighth_above_its_mark() -> None:
    """Then, and not before, whatever lies in between."""
    assert [room_at(free, MARKS, Room.FULL) for free in (1124, 1125, 2249, 2250, 4499, 4500)] == [
        Room.FULL, Room.NO_BULK, Room.NO_BULK, Room.LOW, Room.LOW, Room.PLENTY,
    ]  # fmt: skip


def test_without_marks_there_is_always_plenty() -> None:
    """A floor of zero switches all three off."""
    assert room_at(0, Marks(0, 0, 0), Room.FULL) is Room.PLENTY


def test_a_mark_below_the_next_counts_as_that_one() -> None:
    """So nobody is refused who was not warned."""
    assert room_at(999, Marks(0, 0, 1000)) is Room.FULL
    assert room_at(1000, Marks(0, 0, 1000)) is Room.PLENTY


def test_every_level_has_its_word() -> None:
    """There and back."""
    assert [room_of(room.word) for room in Room] == list(Room)


def test_a_spool_that_was_full_waits_for_the_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused below the floor, refused a little above it, taken again from the margin on."""
    spool = Spool(tmp_path / "spool", 1000, 2000, 4000)
    free = [999]
    monkeypatch.setattr(spool, "free_bytes", lambda: free[0])
    with pytest.raises(SpoolFull, match="floor is 1000"):
        spool.require_room()
    free[0] = 1124
    with pytest.raises(SpoolFull) as full:
        spool.require_room()
    assert full.value.floor_bytes == 1125
    free[0] = 1125
    spool.require_room()
    free[0] = 1000
    spool.require_room()
    assert spool.room() is Room.NO_BULK


def test_a_file_too_large_for_the_room_left_does_not_make_it_full(tmp_path: Path) -> None:
    """The next, smaller one is taken."""
    spool = Spool(tmp_path / "spool", 1000)
    with pytest.raises(SpoolFull):
        spool.require_room(1 << 62)
    spool.require_room(1)
