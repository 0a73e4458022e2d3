"""A gate before every lane: shut, nothing more is taken up, and what is being carried ends between two chunks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Open unless somebody shuts it; the lanes of one process share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = True
        self._within = 0

    def is_open(self) -> bool:
        """Whether a delivery may be taken up, or carried on with."""
        return self._open

    def is_still(self) -> bool:
        """Shut, and nobody is within any more: from here on nothing is sent until it opens."""
        with self._lock:
            return not self._open and self._within == 0

    def open(self) -> None:
        """Let the lanes carry."""
        with self._lock:
            self._open = True

    def shut(self) -> None:
        """Let no lane begin; those within are to end by themselves, see :meth:`is_still`."""
        with self._lock:
            self._open = False

    @contextmanager
    def passing(self) -> Iterator[bool]:
        """Whether the block may carry something; while it does, the gate is not still."""
        with self._lock:
            passes = self._open
            self._within += passes
        try:
            yield passes
        finally:
            with self._lock:
                self._within -= passes
