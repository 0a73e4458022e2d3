"""The folder a box lives in."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.home import open_home
from appliance.settings import Settings
from store_forward.database import METADATA, reading
from store_forward.errors import DatabaseUnusable


def test_a_first_start_makes_everything(tmp_path: Path) -> None:
    """Database with every table, spool, and nobody else may read them."""
    home = open_home(Settings(home=tmp_path / "var" / "box"))
    with reading(home.engine) as connection:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    assert {"studies", "instances", "set_aside", "answers", "deliveries", "destinations"} <= set(names)
    assert set(METADATA.tables) <= set(names)
    assert (home.folder / "scanside.db").stat().st_mode & 0o077 == 0
    assert (home.folder / "spool" / "objects").is_dir()
    home.engine.dispose()


def test_a_second_start_finds_what_was_there(tmp_path: Path) -> None:
    """Opening again, also by another process, changes nothing."""
    settings = Settings(home=tmp_path)
    first = open_home(settings)
    digest = first.spool.keep_bytes(b"payload").digest
    second = open_home(settings)
    assert second.spool.verify(digest)
    first.engine.dispose()
    second.engine.dispose()


def test_a_damaged_database_is_not_used(tmp_path: Path) -> None:
    """The message says what to do, and the file stays as it is."""
    (tmp_path / "scanside.db").write_bytes(b"not a database, " * 512)
    with pytest.raises(DatabaseUnusable, match="Move it away and start again"):
        open_home(Settings(home=tmp_path))
    assert (tmp_path / "scanside.db").read_bytes().startswith(b"not a database")
