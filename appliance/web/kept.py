"""Fragments kept for as long as the state is the same, so that many open pages cost hardly more than one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

#: How long a fragment is believed, s; whoever comes later gets a new one even if nothing seems to have changed.
KEPT_S: Final = 2.0
MOST_KEPT: Final = 64


class KeptFragments:
    """By what they show and for whom. When the state changes all open pages ask for theirs within a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds that nobody sets."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()

    def of(self, what: Hashable, make: Callable[[], bytes]) -> bytes:
        """The fragment, made anew when it is not kept. One is made at a time: others who want the same wait for it."""
        with self._lock:
            now, found = self._clock(), self._kept.get(what)
            if found is None or now - found[0] >= KEPT_S:
                found = self._kept[what] = now, make()
                self._kept.move_to_end(what)
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            return found[1]
