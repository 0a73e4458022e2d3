"""Whether the machine's clock is kept right, as the kernel sees it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_NOT_SYNCHRONISED, _NANOSECONDS = 0x0040, 0x2000  # STA_UNSYNC, STA_NANO of <sys/timex.h>
_NEVER_SET_S = 16.0  # what the kernel gives as the largest error until somebody has set the clock


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux, adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long),
        ("precision", ctypes.c_long), ("tolerance", ctypes.c_long), ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long), ("ppsfreq", ctypes.c_long), ("jitter", ctypes.c_long), ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long), ("jitcnt", ctypes.c_long), ("calcnt", ctypes.c_long), ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long), ("tai", ctypes.c_int), ("_room", ctypes.c_int * 11),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ClockState:
    """``synchronised`` by a time service; None where the machine does not tell.

    ``offset_s`` is what the service still has to correct and ``largest_error_s`` its bound on the error; both are None
    while it is not synchronised.
    """

    synchronised: bool | None
    offset_s: float | None
    largest_error_s: float | None


UNKNOWN = ClockState(None, None, None)


def clock_state() -> ClockState:
    """Ask the kernel (adjtimex(2)); changes nothing."""
    asked = _Timex()
    try:
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):  # no Linux
        return UNKNOWN
    if answer < 0:
        return UNKNOWN
    error_s = asked.maxerror / 1e6
    if asked.status & _NOT_SYNCHRONISED or error_s >= _NEVER_SET_S:
        return ClockState(False, None, None)
    unit = 1e9 if asked.status & _NANOSECONDS else 1e6
    return ClockState(True, asked.offset / unit, error_s)
