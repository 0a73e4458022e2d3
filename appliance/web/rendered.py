"""What was rendered for the present state of the box, so that fifty open pages cost as much as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

MOST_KEPT: Final = 64


@dataclass
class _Kept:
    digest: str | None = None
    html: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Rendered:
    """By what is shown and to whom; of what is asked for by many at once one is made, and the others wait for it."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, digest: str, make: Callable[[], str]) -> str:
        """What stands under ``key`` for the state ``digest``; made if it is not there. Raises what ``make`` raises."""
        with self._lock:
            one = self._kept.pop(key, None) or _Kept()
            self._kept[key] = one  # the last to be asked for is the last to go
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        with one.lock:
            if one.digest != digest:
                one.html, one.digest = make(), digest
            return one.html
