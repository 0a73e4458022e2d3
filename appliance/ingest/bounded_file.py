"""A file of which only so much can be read: a header from a stranger must not take the receiver's memory or time."""

from __future__ import annotations

import os
from typing import BinaryIO, Final

from appliance.errors import CannotUnderstand

#: What stands before the pixels, private elements included, is far below both in any image of a scanner.
MOST_BYTES: Final = 64 << 20
MOST_READS: Final = 150_000  # an element takes two or three


class BoundedFile:
    """``stream`` for the parser, which trusts the lengths it finds and would take memory for them first.

    :meth:`read` raises CannotUnderstand after :data:`MOST_BYTES` or :data:`MOST_READS`.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = stream.seek(0, os.SEEK_END)
        self._bytes = self._reads = 0
        stream.seek(0)

    def read(self, size: int | None = -1) -> bytes:
        """At most ``size`` bytes, and never room for more than there are."""
        there = max(self._end - self._stream.tell(), 0)
        wanted = there if size is None or size < 0 else min(size, there)
        self._bytes += wanted
        self._reads += 1
        if self._bytes > MOST_BYTES or self._reads > MOST_READS:
            raise CannotUnderstand("the header is larger than any header of an image; is it one?")
        return self._stream.read(wanted)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Like that of a file."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Like that of a file."""
        return self._stream.tell()
