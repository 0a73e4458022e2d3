"""A row a minute, a day of them, and the jumps of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.machine.record import KEPT_MINUTES, MachineRecord, jumps, last_day
from hardware.readings import Meter
from store_forward.database import reading
from tests.unit.appliance.web.rows import NOW, Rows


class Clocks:
    """Two clocks: one that people set, one that nobody can."""

    def __init__(self) -> None:
        self.wall, self.steady = NOW, 100.0

    def pass_s(self, seconds: float, jump_s: float = 0.0) -> None:
        """Let time pass, and set the clock."""
        self.steady += seconds
        self.wall += seconds + jump_s


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    """A box without any study."""
    made = Rows(tmp_path)
    yield made
    made.engine.dispose()


def test_a_minute_has_the_median_latency_of_what_was_decided_in_it(rows: Rows) -> None:
    """And the machine's own figures; a minute without a study has no latency, not zero."""
    clocks = Clocks()
    record = MachineRecord(rows.engine, Meter(), lambda: clocks.wall, lambda: clocks.steady)
    for number, latency_ms in enumerate((10.0, 30.0, 500.0)):
        rows.study(str(number), "routine", decided_at=NOW - 5, latency_ms=latency_ms)
    rows.study("old", "routine", decided_at=NOW - 3000, latency_ms=9000.0)
    record.note()
    clocks.pass_s(60.0)
    record.note()
    with reading(rows.engine) as conn:
        first, second = last_day(conn, clocks.wall)
        assert jumps(conn, 10) == []
    assert (first.latency_ms, second.latency_ms) == (30.0, None)
    assert (first.memory_used_bytes or 0) > 0
    assert second.minute == first.minute + 1


def test_only_a_day_is_kept_and_nothing_of_a_future(rows: Rows) -> None:
    """However long the box runs, and however wrong its clock was."""
    clocks = Clocks()
    record = MachineRecord(rows.engine, Meter(), lambda: clocks.wall, lambda: clocks.steady)
    record.note()
    clocks.pass_s(60.0, jump_s=10_000_000.0)
    record.note()
    clocks.pass_s(60.0, jump_s=-10_000_000.0)
    record.note()
    clocks.pass_s(KEPT_MINUTES * 60.0)
    record.note()
    with reading(rows.engine) as conn:
        assert [one.minute for one in last_day(conn, clocks.wall)] == [int(clocks.wall // 60)]
        assert [round(one.by_s) for one in jumps(conn, 10)] == [-10_000_000, 10_000_000]


def test_a_clock_that_runs_a_little_wrong_does_not_jump(rows: Rows) -> None:
    """A time service corrects by milliseconds all day."""
    clocks = Clocks()
    record = MachineRecord(rows.engine, Meter(), lambda: clocks.wall, lambda: clocks.steady)
    clocks.pass_s(60.0, jump_s=0.4)
    record.note()
    clocks.pass_s(60.0, jump_s=-90.0)
    record.note()
    with reading(rows.engine) as conn:
        (jump,) = jumps(conn, 10)
    assert (jump.at, round(jump.by_s, 3)) == (clocks.wall, -90.0)


def test_jumps_are_bounded(rows: Rows) -> None:
    """A machine without a battery jumps at every start."""
    clocks = Clocks()
    record = MachineRecord(rows.engine, Meter(), lambda: clocks.wall, lambda: clocks.steady)
    for _ in range(105):
        clocks.pass_s(1.0, jump_s=60.0)
        record.note()
    with reading(rows.engine) as conn:
        assert len(jumps(conn, 1000)) == 100
