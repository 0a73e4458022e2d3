"""After each test the collector runs, so that what a dead peer left behind is counted where it belongs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect before the next test begins."""
    yield
    gc.collect()
