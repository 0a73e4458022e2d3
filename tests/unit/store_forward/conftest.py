"""A real outbox database on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from store_forward.database import create_schema, open_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty database with the box's tables."""
    opened = open_database(tmp_path / "box.sqlite")
    create_schema(opened)
    yield opened
    opened.dispose()
