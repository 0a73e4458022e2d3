"""What the lanes of one destination leave to each other, and when bulk may go."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from appliance.line import Line, Window

NOON = 12 * 60


@pytest.fixture
def local_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone two hours east of UTC without summer time."""
    monkeypatch.setenv("TZ", "TST-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("begin", "end", "minute", "is_open"),
    [
        ("08:00", "13:00", NOON, True),
        ("08:00", "12:00", NOON, False),
        ("12:00", "12:01", NOON, True),
        ("22:00", "06:30", 0, True),
        ("22:00", "06:30", 6 * 60 + 29, True),
        ("22:00", "06:30", 6 * 60 + 30, False),
        ("22:00", "06:30", 22 * 60, True),
        ("22:00", "06:30", NOON, False),
        ("00:00", "23:59", 23 * 60 + 59, False),
    ],
)
def test_a_window_of_the_day(begin: str, end: str, minute: int, is_open: bool) -> None:
    """Its first minute lies within, its last does not, and midnight is a minute like any other."""
    assert Window.between(begin, end).is_open(minute) is is_open


def test_only_bulk_minds_the_window(local_time: None) -> None:
    """By local time; what is urgent and every escalation goes at any hour."""
    line = Line(Window.between("22:00", "06:00"))
    midnight_utc = 20_000 * 86_400.0
    evening, night = midnight_utc + 19 * 3600, midnight_utc + 20 * 3600
    assert line.least_urgent(evening) == 2
    assert line.least_urgent(night) is None
    assert [line.window_open_for(priority, evening) for priority in range(4)] == [True, True, True, False]
    assert line.window_open_for(3, night)


def test_what_is_more_urgent_has_the_line_to_itself() -> None:
    """Lanes may take what is as urgent as the most urgent that is carried; the others see that they should end."""
    line = Line()
    assert line.least_urgent(0.0) is None
    with line.carrying(2):
        assert line.least_urgent(0.0) == 2
        with line.carrying(0):
            assert line.least_urgent(0.0) == 0
            assert line.carries_more_urgent(2)
            assert not line.carries_more_urgent(0)
        assert not line.carries_more_urgent(2)
    assert line.least_urgent(0.0) is None
