"""How long the disk lasts, for given histories."""

from __future__ import annotations

import pytest

from appliance.disk.autonomy import Autonomy, Day, autonomy
from appliance.disk.days import count_deleted, count_made, count_received, day_of, recorded_days
from appliance.schema import instances
from appliance.web.wording import alone_words, filling_words
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest
from tests.small_box import NOW, SmallBox, image

TODAY = 1000


def record(*loads: int, first: int = TODAY - 20) -> list[Day]:
    """One day each, the last of them yesterday, and an older one that says how far the record goes back."""
    start = TODAY - len(loads)
    return [Day(first, 1, 0, 0), *(Day(start + n, load, 0, 0) for n, load in enumerate(loads))]


@pytest.mark.parametrize("known", [[], [Day(TODAY, 500, 0, 0)], [Day(TODAY - 1, 500, 0, 0)]])
def test_too_little_is_not_known(known: list[Day]) -> None:
    """No day at all, the first day, and the morning after a first day of unknown length."""
    assert autonomy(known, TODAY, 10**9, 0) == Autonomy(0, None, None, None)


def test_one_whole_day_is_enough() -> None:
    """100 a day, 1,000 above the floor: ten days."""
    assert autonomy(record(100, first=TODAY - 2), TODAY, 1500, 500) == Autonomy(1, 100.0, 10.0, 10.0)


def test_a_week_is_its_mean_with_its_idle_days() -> None:
    """A weekend without a row counts as a weekend."""
    week = [day for day in record(70, 70, 70, 70, 70, 0, 0, first=TODAY - 8) if day.load_bytes]
    assert autonomy(week, TODAY, 500, 0).alone_days == pytest.approx(10.0)


def test_a_busy_day_counts_at_once() -> None:
    """A new scanner today is no news only in two weeks."""
    assert autonomy([*record(10, 10), Day(TODAY, 50, 50, 0)], TODAY, 1000, 0).alone_days == 10.0


def test_only_two_weeks_count() -> None:
    """What was before has passed."""
    assert autonomy(record(*[1000] * 5, *[10] * 14), TODAY, 1000, 0) == Autonomy(14, 10.0, 100.0, 100.0)


def test_a_clock_that_was_wrong_once_does_not_promise_more() -> None:
    """A day in 1970 is no proof that the box was idle ever since, and a day to come is no record."""
    known = [*record(100, first=1), Day(TODAY + 3000, 1, 0, 0)]
    assert autonomy(known, TODAY, 1000, 0).alone_days == 10.0


def test_without_a_link_nothing_is_deleted() -> None:
    """With it, what retention deletes makes the disk last longer, or for ever."""
    known = [Day(TODAY - 2, 1, 0, 0), Day(TODAY - 1, 60, 40, 50)]
    assert autonomy(known, TODAY, 1000, 0) == Autonomy(1, 100.0, 10.0, 20.0)
    known = [Day(TODAY - 2, 1, 0, 0), Day(TODAY - 1, 60, 40, 100)]
    assert autonomy(known, TODAY, 1000, 0) == Autonomy(1, 100.0, 10.0, None)


def test_below_the_floor_it_is_over() -> None:
    """Zero, not less."""
    assert autonomy(record(100), TODAY, 10, 500).alone_days == 0.0


@pytest.mark.parametrize(
    ("recorded", "days", "words"),
    [
        (0, None, "not known yet: one whole day of record is needed"),
        (3, None, "no end in sight: nothing came in lately"),
        (3, 0.55, "at today's load this box can work alone for 13 h"),
        (3, 12.9, "at today's load this box can work alone for 12 days"),
        (3, 4000.0, "at today's load this box can work alone for over two years"),
    ],
)
def test_the_sentence(recorded: int, days: float | None, words: str) -> None:
    """Rounded down."""
    assert alone_words(recorded, days) == words


def test_the_other_sentence() -> None:
    """Full in, not filling, not known."""
    assert [filling_words(*one) for one in ((0, None), (1, None), (1, 3.0))] == [
        "not known yet", "not filling", "in 3 days",
    ]  # fmt: skip


def test_what_is_admitted_is_counted_once(box: SmallBox) -> None:
    """In the transaction of its row; a resend adds nothing."""
    box.admit(image())
    box.admit(image(), now=NOW + 86_400.0)
    (row,) = box.rows(instances)
    with reading(box.engine) as connection:
        assert recorded_days(connection, NOW + 86_400.0) == [Day(day_of(NOW), row.size_bytes, 0, 0)]


def test_made_and_deleted_are_counted_beside_it(box: SmallBox) -> None:
    """One object that goes to two destinations is one object."""
    ones = [DeliveryRequest(str(n), "1", 1, "report", f"p{n}", 2, "a" * 64, 7, "application/dicom") for n in range(2)]
    with writing(box.engine) as connection:
        count_received(connection, NOW, 100)
        count_made(connection, NOW, ones)
        count_deleted(connection, NOW, 50)
        count_deleted(connection, NOW, 0)
        assert recorded_days(connection, NOW) == [Day(day_of(NOW), 100, 7, 50)]
