"""What the privacy package raises; both mean that nothing leaves the box."""

from __future__ import annotations

from typing import Final

#: What pydicom raises for an element whose bytes are not what they are said to be.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    IndexError,
    OverflowError,
)


class CannotDeidentify(Exception):
    """An instance cannot be made safe to leave the box; ``why`` is a fixed word, ``detail`` names no
    patient."""

    def __init__(self, why: str, detail: str) -> None:
        super().__init__(f"{why}: {detail}")
        self.why = why
        self.detail = detail


class SiteKeyUnusable(Exception):
    """The key that makes pseudonyms is damaged or readable by others; ``repair`` says what a person can
    do."""

    def __init__(self, why: str, repair: str) -> None:
        super().__init__(f"{why}. {repair}")
        self.why = why
        self.repair = repair
