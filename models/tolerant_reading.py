"""Reading DICOM that somebody else wrote: which exceptions mean "damaged", and no commentary."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from pydicom.errors import BytesLengthException, InvalidDicomError

#: What pydicom raises when one value cannot be converted; the element then counts as absent.
UNREADABLE = (
    AttributeError,
    BytesLengthException,
    IndexError,
    KeyError,
    NotImplementedError,
    OverflowError,
    TypeError,
    ValueError,
    struct.error,
)

#: Everything that damaged bytes raise in pydicom and the decoders; RuntimeError is also their "no plugin".
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
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
    level = _PYDICOM.level
    _PYDICOM.setLevel(logging.CRITICAL + 1)  # unlike "disabled", the level also counts for the loggers below it
    try:
        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            yield
    finally:
        _PYDICOM.setLevel(level)
