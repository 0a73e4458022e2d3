"""What machine this is: the numbers the status page shows and the device choice is remembered for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from hardware.choice import backend_versions, candidates
from hardware.processor import cpu_model


@dataclass(frozen=True, slots=True)
class Inventory:
    """CPU, memory, the disk that holds the state folder, and the backends with version and devices.

    ``cores`` are those this process may use; ``memory_bytes`` is the machine's.
    """

    cpu_model: str
    cores: int
    memory_bytes: int
    disk_total_bytes: int
    disk_free_bytes: int
    backends: dict[str, str]
    devices: tuple[str, ...]


def take_inventory(folder: Path) -> Inventory:
    """Look at the machine; ``folder`` is on the disk to measure. Raises OSError when it does not exist."""
    disk = psutil.disk_usage(str(folder))
    return Inventory(
        cpu_model=cpu_model(),
        cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        disk_total_bytes=disk.total,
        disk_free_bytes=disk.free,
        backends=backend_versions(),
        devices=tuple(candidate.name for candidate in candidates()),
    )


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))
