"""How much of an upload goes into one request: what the link carries in a few seconds."""

from __future__ import annotations

from typing import Final

AIM_S: Final = 4.0
"""Long enough that a slow round trip costs little, short enough that a cut costs little and the urgent wait little."""
SMALLEST_BYTES: Final = 16 * 1024
_MOST_GROWTH: Final = 2.0


class ChunkSize:
    """The size of the next chunk, ``bytes``. It belongs to one link, and outlives its uploads."""

    def __init__(self, first_bytes: int, largest_bytes: int, smallest_bytes: int = SMALLEST_BYTES) -> None:
        """Begins at ``first_bytes`` and stays between smallest and largest; a smaller largest wins."""
        self._largest_bytes = largest_bytes
        self._smallest_bytes = min(smallest_bytes, first_bytes, largest_bytes)
        self.bytes = min(first_bytes, largest_bytes)

    def sent(self, size_bytes: int, seconds: float) -> None:
        """A chunk of ``size_bytes`` was taken after so long, round trip and fsync included.

        At most doubles or halves. A chunk that was shorter than asked for, as the last of a file is, only
        tells something when even that took too long.
        """
        if size_bytes < self.bytes and seconds <= AIM_S:
            return
        wanted = size_bytes * AIM_S / max(seconds, 0.001)
        self._become(min(max(wanted, self.bytes / _MOST_GROWTH), self.bytes * _MOST_GROWTH))

    def cut(self) -> None:
        """The connection broke while a chunk was on its way."""
        self._become(self.bytes / 2)

    def _become(self, wanted_bytes: float) -> None:
        self.bytes = int(min(max(wanted_bytes, self._smallest_bytes), self._largest_bytes))
