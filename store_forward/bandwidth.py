"""A cap on what is sent, shared by every connection that should stay under it together: a token bucket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

BURST_S: Final = 0.25
"""How much time's worth may go at once after a pause."""
_LARGEST_PIECE_BYTES: Final = 16_384
_SMALLEST_PIECE_BYTES: Final = 256


class Bandwidth:
    """At most ``bytes_per_s`` over any time, and what BURST_S is worth on top. Threads may share one."""

    def __init__(
        self,
        bytes_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises ValueError when nothing could ever be sent."""
        if not bytes_per_s > 0:
            raise ValueError("a bandwidth is more than 0 bytes per second")
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    @property
    def piece_bytes(self) -> int:
        """How much to take at a time: small enough that connections take turns and none falls silent."""
        return int(min(max(self._bytes_per_s * BURST_S / 2, _SMALLEST_PIECE_BYTES), _LARGEST_PIECE_BYTES))

    def take(self, size_bytes: int) -> None:
        """Wait until so much may be sent. Who asks first goes first."""
        with self._lock:
            now = self._clock()
            begins_at = max(self._free_at, now - BURST_S)
            self._free_at = begins_at + size_bytes / self._bytes_per_s
            wait_s = self._free_at - now
        if wait_s > 0:
            self._sleep(wait_s)

    def pace(self, data: bytes) -> Iterator[bytes]:
        """``data`` piece by piece, each as soon as it may go."""
        for begin in range(0, len(data), self.piece_bytes):
            piece = data[begin : begin + self.piece_bytes]
            self.take(len(piece))
            yield piece
