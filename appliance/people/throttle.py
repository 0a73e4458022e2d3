"""What slows down guessing: pauses that grow with each failure, for whoever fails and for nobody else.

No account is ever locked by failures, so nobody can lock others out. What is counted is an address trying one
account, and an address trying whatever it likes; who signs in from another address meets neither. An attempt is
counted before the password is looked at, so that many at once are no way around.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

#: Failures without a pause, for one account from one address and for one address in all.
FREE_FOR_ACCOUNT: Final = 3
FREE_FOR_ADDRESS: Final = 12
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
#: An address that has not tried for so long begins anew, s.
FORGOTTEN_AFTER_S: Final = 3600.0
#: How many are remembered; the one that tried longest ago is forgotten first.
MOST_REMEMBERED: Final = 20_000


@dataclass
class _Tries:
    failures: int
    last_at: float


class Throttle:
    """Counts attempts to show a password; ``monotonic`` gives seconds of a clock that is never set back."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._tries: OrderedDict[tuple[str, ...], _Tries] = OrderedDict()

    def attempt(self, address: str, account: str) -> float:
        """Count one attempt. Returns how long to wait first, s, and then it is not counted; 0: go on."""
        keys, now = _keys(address, account), self._monotonic()
        with self._lock:
            pause = max(self._pause(key, free, now) for key, free in keys)
            if pause > 0:
                return pause
            for key, _ in keys:
                found = self._tries.setdefault(key, _Tries(0, now))
                found.failures, found.last_at = found.failures + 1, now
                self._tries.move_to_end(key)
            while len(self._tries) > MOST_REMEMBERED:
                self._tries.popitem(last=False)
        return 0.0

    def succeeded(self, address: str, account: str) -> None:
        """It was the right password: the attempt was no failure, and this account begins anew at this address."""
        (own, _), (whole, _) = _keys(address, account)
        with self._lock:
            self._tries.pop(own, None)
            if (found := self._tries.get(whole)) is not None:
                found.failures = max(found.failures - 1, 0)

    def _pause(self, key: tuple[str, ...], free: int, now: float) -> float:
        found = self._tries.get(key)
        if found is not None and now - found.last_at > FORGOTTEN_AFTER_S:
            del self._tries[key]
            return 0.0
        if found is None or found.failures < free:
            return 0.0
        pause = min(FIRST_PAUSE_S * 2.0 ** min(found.failures - free, 30), LONGEST_PAUSE_S)
        return max(found.last_at + pause - now, 0.0)


def _keys(address: str, account: str) -> tuple[tuple[tuple[str, ...], int], tuple[tuple[str, ...], int]]:
    whose = _network(address)
    return ((whose, account), FREE_FOR_ACCOUNT), ((whose,), FREE_FOR_ADDRESS)


def _network(address: str) -> str:
    """Who has one IPv6 address has 2⁶⁴ of them."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)
