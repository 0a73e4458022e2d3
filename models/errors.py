"""Everything the models raise; the class says who reacts."""

from __future__ import annotations

import errno
from typing import Final

from models.reasons import Reason

_ABOUT_THE_FILE: Final = frozenset(
    {
        None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG,
        errno.EBADMSG,  # of a sealed file: its bytes are not those that were sealed
    }
)  # fmt: skip


class CannotTriage(Exception):
    """No statement about this image is possible: it becomes ``not_triaged`` with ``reason``, never a score.

    ``detail`` is for the log and the status page and never holds a value that could name a patient.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class PackRejected(Exception):
    """A model pack must not be used as it lies there; the one in use stays. ``repair`` says what to do."""

    def __init__(self, pack: str, why: str, repair: str) -> None:
        super().__init__(f"model pack {pack}: {why}. {repair}")
        self.pack = pack
        self.why = why
        self.repair = repair


class PackUnreadable(PackRejected):
    """The disk did not give a file of the pack. That says nothing of the pack: the next time it may."""


def not_read(pack: str, what: str, error: OSError, repair: str) -> PackRejected:
    """What a file that could not be read means: PackUnreadable when the disk failed, else PackRejected."""
    why = f"{what} cannot be read ({error.strerror or type(error).__name__})"
    if error.errno in _ABOUT_THE_FILE:
        return PackRejected(pack, why, repair)
    return PackUnreadable(pack, why, "It is asked for again by itself; should that not help, check the disk")
