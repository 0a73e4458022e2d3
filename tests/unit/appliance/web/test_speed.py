"""The measured speed and the bars of what was delivered."""

from __future__ import annotations

from appliance.web.speed import Speed, Traffic, speed, traffic
from store_forward.traffic import Hour


def test_the_latest_span_with_traffic_tells_the_speed() -> None:
    """The last hour and the one before it, else the day, else the week; a clock that ran ahead is not believed."""
    old, lately, ahead = Hour(10, 1, 1_000, 500.0), Hour(99, 2, 9_000, 3000.0), Hour(200, 1, 10**9, 1.0)
    assert speed([old, lately, ahead], 100) == Speed(3000.0, "hour")
    assert speed([old, lately], 110) == Speed(3000.0, "day")
    assert speed([old, lately], 170) == Speed(10_000 * 1000 / 3500, "week")
    assert speed([old], 1000) is None
    assert speed([Hour(5, 0, 0, 60_000.0)], 5) is None
    assert speed([Hour(5, 1, 1000, 0.0)], 5) == Speed(1_000_000.0, "hour")


def test_bars_hold_every_hour_once() -> None:
    """The last bar ends with the hour that runs; what is older or from the future is not in them."""
    counted = [
        Hour(76, 1, 5, 1.0),
        Hour(77, 1, 7, 1.0),
        Hour(99, 2, 20, 1.0),
        Hour(100, 1, 3, 1.0),
        Hour(101, 1, 9, 1.0),
    ]
    day = traffic(counted, 100, bars=24, hours_each=1)
    assert (day.bars[0], day.bars[-2:], sum(day.bars), day.number) == (7, (20, 3), 30, 4)
    assert traffic(counted, 100, bars=4, hours_each=6) == Traffic((7, 0, 0, 23), 6, 4, 30)
    assert (day.most_bytes, traffic([], 5, 24, 1).most_bytes) == (20, 0)
