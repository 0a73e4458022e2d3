"""A database for users, sessions and tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from appliance.people import tables as tables
from store_forward.database import create_schema, open_database


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty database."""
    made = open_database(tmp_path / "box.db")
    create_schema(made)
    yield made
    made.dispose()
