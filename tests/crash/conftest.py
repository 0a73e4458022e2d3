"""Refused connections are the rule here: the DICOM library's sockets are collected with the test that left them."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collect before the next test begins; a log record with a traceback would keep a socket beyond that."""
    caplog.set_level(logging.CRITICAL + 1, logger="pynetdicom")
    yield
    gc.collect()
