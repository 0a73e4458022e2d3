"""When a disk that did not give a pack is asked again."""

from __future__ import annotations

from models.asking_again import FIRST_PAUSE_S, IMAGES_WAIT_S, LONGEST_PAUSE_S, AskingAgain


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_nothing_to_ask_for() -> None:
    """All packs were given."""
    asking = AskingAgain(Clock())
    asking.note(False)
    assert not asking.due
    assert not asking.images_wait


def test_longer_and_longer_pauses_without_end() -> None:
    """1 s, 2 s, 4 s ... 60 s, and on; the images wait for the first minute."""
    clock = Clock()
    asking = AskingAgain(clock)
    pauses = []
    for _ in range(10):
        asking.note(True)
        began = clock.now
        while not asking.due:
            clock.now += FIRST_PAUSE_S
        pauses.append(clock.now - began)
        assert asking.images_wait == (clock.now - 1000.0 < IMAGES_WAIT_S)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *[LONGEST_PAUSE_S] * 4]


def test_given_at_last() -> None:
    """Nothing waits any more, and the next trouble begins with a short pause again."""
    clock = Clock()
    asking = AskingAgain(clock)
    asking.note(True)
    clock.now += 30.0
    asking.note(True)
    asking.note(False)
    assert (asking.due, asking.images_wait) == (False, False)
    asking.note(True)
    clock.now += FIRST_PAUSE_S
    assert (asking.due, asking.images_wait) == (True, True)
