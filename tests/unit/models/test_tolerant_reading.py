"""Reading without pydicom's commentary."""

from __future__ import annotations

import logging
import warnings

import pytest

from models.tolerant_reading import quietly


def test_neither_warning_nor_log_and_all_as_before_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    """Also for the loggers below pydicom's, and after an exception."""
    decoder = logging.getLogger("pydicom.pixels.decoders.base")
    level = logging.getLogger("pydicom").level
    with pytest.raises(KeyError), quietly():
        warnings.warn("PatientName is odd", stacklevel=1)
        decoder.error("PatientName is odd")
        raise KeyError
    assert not caplog.records
    assert logging.getLogger("pydicom").level == level
    with pytest.warns(UserWarning, match="odd"):
        warnings.warn("odd", stacklevel=1)
