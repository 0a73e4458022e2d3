"""A disk that did not give a pack is asked again, and for a while the images wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
IMAGES_WAIT_S: Final = 60.0
"""A disk that has not given a pack for so long may never: what the other packs are for is read without it."""


class AskingAgain:
    """Told how each opening of the packs went; says when to open them again and whether to read meanwhile."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = FIRST_PAUSE_S
        self._again_at: float | None = None
        self._wait_until: float | None = None

    def note(self, lacks_packs: bool) -> None:
        """The packs were opened just now; ``lacks_packs`` when the disk did not give all of them."""
        if not lacks_packs:
            self._again_at, self._wait_until, self._pause_s = None, None, FIRST_PAUSE_S
            return
        now = self._clock()
        self._wait_until = self._wait_until if self._wait_until is not None else now + IMAGES_WAIT_S
        self._again_at = now + self._pause_s
        self._pause_s = min(self._pause_s * 2.0, LONGEST_PAUSE_S)

    @property
    def due(self) -> bool:
        """Whether to open the packs again."""
        return self._again_at is not None and self._clock() >= self._again_at

    @property
    def images_wait(self) -> bool:
        """Whether nothing is to be read until the disk has been asked again."""
        return self._wait_until is not None and self._clock() < self._wait_until
