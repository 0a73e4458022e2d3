"""What the machine says of itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

from hardware.clock import clock_state
from hardware.readings import Meter, Readings, Temperature, process_reading


def _sensor(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value, encoding="ascii")


def test_what_any_machine_tells() -> None:
    """Memory always; the share of the CPU between 0 and 1."""
    meter = Meter()
    sum(range(200_000))
    seen = meter.read()
    assert 0 < seen.memory_available_bytes <= seen.memory_total_bytes
    assert seen.cpu_share is None or 0.0 <= seen.cpu_share <= 1.0


def test_what_a_machine_does_not_tell_is_not_zero(tmp_path: Path) -> None:
    """No meter, no watts; no sensor, no temperature."""
    assert Meter(tmp_path / "none", tmp_path / "none").read().power_w is None
    assert Readings(None, None, 1, 1, (), None).hottest is None


def test_power_by_the_cpus_meter_else_by_the_boards(tmp_path: Path) -> None:
    """Energy between two readings; a counter that began anew gives nothing rather than nonsense."""
    counter, board = tmp_path / "cap" / "intel-rapl:0" / "energy_uj", tmp_path / "mon" / "hwmon0" / "power1_input"
    _sensor(counter, "1000000")
    _sensor(tmp_path / "cap" / "intel-rapl:0:0" / "energy_uj", "77")
    meter = Meter(tmp_path / "cap", tmp_path / "mon")
    _sensor(counter, "3000000")
    assert (meter.read().power_w or 0.0) > 0.0
    _sensor(counter, "5")
    assert meter.read().power_w is None
    _sensor(board, "4500000")
    _sensor(counter, "nonsense")
    assert meter.read().power_w == 4.5


def test_the_hottest_sensor() -> None:
    """The one a person should know of."""
    seen = Readings(None, None, 1, 1, (Temperature("a", 40.0), Temperature("b", 71.5)), None)
    assert seen.hottest == Temperature("b", 71.5)


def test_a_process_is_read_and_a_stranger_with_its_number_is_not() -> None:
    """Numbers of processes are given out again."""
    found = process_reading(os.getpid(), time.time())
    assert found is not None
    assert found.memory_bytes > 0
    assert process_reading(os.getpid(), psutil.Process().create_time() - 60.0) is None
    assert process_reading(2**22 - 1, time.time()) is None


def test_the_kernel_says_whether_its_clock_is_kept() -> None:
    """Figures only for a clock that is."""
    state = clock_state()
    assert (state.offset_s is None) == (state.synchronised is not True)
    assert state.largest_error_s is None or state.largest_error_s >= 0.0
