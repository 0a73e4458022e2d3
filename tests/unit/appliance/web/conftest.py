"""Fixtures for the tests of the status page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.appliance.web.rows import Rows


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    """A box without any study."""
    made = Rows(tmp_path)
    yield made
    made.engine.dispose()
