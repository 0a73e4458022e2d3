"""Whatever the record: the meter is never negative, and more free disk never shortens it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.disk.autonomy import Day, autonomy

TODAY = 20_000
SIZES = st.integers(min_value=0, max_value=1 << 50)
DAYS = st.lists(
    st.builds(Day, st.integers(TODAY - 30, TODAY + 2), SIZES, SIZES, SIZES), max_size=20, unique_by=lambda day: day.day
)


@given(DAYS, SIZES, SIZES, SIZES)
def test_never_negative_and_monotone_in_free_disk(record: list[Day], one: int, other: int, floor: int) -> None:
    """Both figures; whether they are known does not depend on the free disk."""
    less = autonomy(record, TODAY, min(one, other), floor)
    more = autonomy(record, TODAY, max(one, other), floor)
    for short, long in ((less.alone_days, more.alone_days), (less.full_in_days, more.full_in_days)):
        assert (short is None) == (long is None)
        assert short is None or long is None or 0 <= short <= long
    assert less.alone_days is None or less.full_in_days is None or less.alone_days <= less.full_in_days


@given(DAYS)
def test_what_is_known_says_on_how_many_days_it_rests(record: list[Day]) -> None:
    """One to fourteen, or nothing at all."""
    found = autonomy(record, TODAY, 1 << 40, 0)
    assert 0 <= found.recorded_days <= 14
    assert (found.load_bytes_per_day is None) == (found.recorded_days == 0)
