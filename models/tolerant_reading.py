"""How we read DICOM that somebody else wrote: which exceptions mean "damaged", and without pydicom's commentary."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

#: What pydicom raises when one value cannot be converted; the element then counts as absent.
UNREADABLE = (
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
)

#: Everything that damaged bytes raise in pydicom and the decoders; RuntimeError is also their "no plugin".
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_PYDICOM = logging.getLogger("pydicom")


@contextmanager
def quietly() -> Iterator[None]:
    """Neither warnings nor pydicom's log: both quote the value they complain about, which may name a patient.

    Not for use from two threads at once.
    """
    was_disabled = _PYDICOM.disabled
    _PYDICOM.disabled = True
    try:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            yield
    finally:
        _PYDICOM.disabled = was_disabled
