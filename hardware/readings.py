"""What the machine says of itself now: load, memory, temperature, power, and what a process takes of it.

What it does not tell is None or left out, never zero.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

_POWERCAP, _HWMON = Path("/sys/class/powercap"), Path("/sys/class/hwmon")
#: A process whose start was noted may have begun this much, s, before that; one that began later is another.
_NOTED_AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Temperature:
    """One sensor, °C, by the kernel's name for it."""

    sensor: str
    celsius: float


@dataclass(frozen=True, slots=True)
class Readings:
    """The machine at one moment. ``cpu_share`` (0..1) and ``power_w`` are over the time since the reading before."""

    cpu_share: float | None
    load_1_min: float | None
    memory_total_bytes: int
    memory_available_bytes: int
    temperatures: tuple[Temperature, ...]
    power_w: float | None

    @property
    def hottest(self) -> Temperature | None:
        """The warmest sensor; None where there is none."""
        return max(self.temperatures, key=lambda one: one.celsius, default=None)


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """What one process takes: resident memory, and CPU time since its start."""

    memory_bytes: int
    cpu_s: float
    age_s: float


class Meter:
    """Reads the machine; shares and powers are over the time between two readings, so one meter has one reader."""

    def __init__(self, powercap: Path = _POWERCAP, hwmon: Path = _HWMON) -> None:
        self._powercap, self._hwmon = powercap, hwmon
        self._cpu = _cpu_seconds()
        self._energy = self._energy_now()

    def read(self) -> Readings:
        """Look at the machine."""
        memory = psutil.virtual_memory()
        return Readings(
            self._cpu_share(), _load(), memory.total, memory.available, temperatures(), self._power()
        )  # fmt: skip

    def _cpu_share(self) -> float | None:
        (busy, whole), (busy_before, whole_before) = _cpu_seconds(), self._cpu
        self._cpu = busy, whole
        passed = whole - whole_before
        return min(max((busy - busy_before) / passed, 0.0), 1.0) if passed > 0 else None

    def _power(self) -> float | None:
        """By the CPU's own meter (RAPL) where it may be read, else by a sensor of the board."""
        before, self._energy = self._energy, self._energy_now()
        if before is not None and self._energy is not None:
            (joules, at), (joules_before, at_before) = self._energy, before
            if at > at_before and joules >= joules_before:  # the counter begins anew now and then
                return (joules - joules_before) / (at - at_before)
        return self._board_power()

    def _energy_now(self) -> tuple[float, float] | None:
        counters = [_number(path) for path in sorted(self._powercap.glob("*-rapl:?/energy_uj"))]
        told = [one for one in counters if one is not None]
        return (sum(told) / 1e6, time.monotonic()) if told else None

    def _board_power(self) -> float | None:
        for name in ("power1_average", "power1_input"):
            told = [one for path in sorted(self._hwmon.glob(f"*/{name}")) if (one := _number(path)) is not None]
            if told:
                return sum(told) / 1e6
        return None


def temperatures() -> tuple[Temperature, ...]:
    """Every temperature sensor that gives a value."""
    try:
        found = psutil.sensors_temperatures()
    except (AttributeError, OSError):
        return ()
    return tuple(
        Temperature(one.label or name, float(one.current))
        for name, sensors in sorted(found.items())
        for one in sensors
        if one.current is not None and -50.0 < one.current < 150.0
    )


def process_reading(pid: int, noted_at: float) -> ProcessReading | None:
    """What the process takes whose start was noted at ``noted_at`` (epoch s); None when it is gone."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            began, times = process.create_time(), process.cpu_times()
            reading = ProcessReading(process.memory_info().rss, times.user + times.system, time.time() - began)
    except psutil.Error:
        return None
    return reading if began <= noted_at + _NOTED_AFTER_S else None


def _cpu_seconds() -> tuple[float, float]:
    times = psutil.cpu_times()._asdict()
    counted = {name: value for name, value in times.items() if not name.startswith("guest")}
    whole = sum(counted.values())
    return whole - counted["idle"] - counted.get("iowait", 0.0), whole


def _load() -> float | None:
    try:
        return psutil.getloadavg()[0]
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
