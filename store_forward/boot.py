"""Which boot of this machine it is: nothing that was under way in an earlier one still is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

BOOT_ID_FILE: Final = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """What the kernel calls this boot; the same word for all boots where it does not say."""
    return read_boot_id(BOOT_ID_FILE)


def read_boot_id(path: Path) -> str:
    """The boot id in ``path``; ``unknown`` when there is none, and then a lease ends by its time alone."""
    try:
        return path.read_text(encoding="ascii").strip() or "unknown"
    except OSError:
        return "unknown"
