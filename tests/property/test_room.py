"""Whatever the marks: more free disk is never less room, and a level flaps only over its whole margin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store_forward.room import Marks, Room, room_at

SIZES = st.integers(min_value=0, max_value=1 << 50)
MARKS = st.builds(Marks, warn_bytes=SIZES, bulk_bytes=SIZES, floor_bytes=SIZES)
ROOMS = st.sampled_from(Room)


@given(SIZES, SIZES, MARKS, ROOMS)
def test_more_free_disk_is_never_less_room(one: int, other: int, marks: Marks, before: Room) -> None:
    """From the same level before."""
    assert room_at(max(one, other), marks, before) <= room_at(min(one, other), marks, before)


@given(SIZES, MARKS, ROOMS)
def test_looking_again_changes_nothing(free: int, marks: Marks, before: Room) -> None:
    """The level is settled by one look."""
    room = room_at(free, marks, before)
    assert room_at(free, marks, room) is room


@given(st.lists(SIZES, max_size=30), MARKS)
def test_below_the_floor_it_is_full_whatever_was_before(history: list[int], marks: Marks) -> None:
    """Hysteresis never lets anything in that the mark forbids."""
    room = Room.PLENTY
    for free in history:
        room = room_at(free, marks, room)
        assert (room is Room.FULL) or free >= marks.floor_bytes
