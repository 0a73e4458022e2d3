"""SQLite is opened the one safe way, by several processes at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.database import (
    METADATA,
    Prepared,
    check_sqlite,
    create_schema,
    open_database,
    portions,
    reading,
    sqlite_version,
    transaction,
    writing,
)
from store_forward.deliveries import deliveries
from store_forward.errors import DatabaseUnusable

OWN = MetaData(info={"application_id": 7})
numbers = Table("numbers", OWN, Column("number", Integer, primary_key=True))
ROUNDS = 25


def count_up(path: Path) -> None:
    """Read the largest number and write the next one, ROUNDS times: what must not interleave."""
    engine = open_database(path)
    create_schema(engine, OWN)
    for _ in range(ROUNDS):
        with writing(engine) as connection:
            largest = connection.execute(select(func.max(numbers.c.number))).scalar_one() or 0
            connection.execute(insert(numbers).values(number=largest + 1))
    engine.dispose()


def test_several_processes_create_and_write_at_once(tmp_path: Path) -> None:
    """Nobody fails with a lock, and no write is lost between a read and the write that follows from it."""
    path = tmp_path / "home" / "box.sqlite"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=count_up, args=(path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    engine = open_database(path)
    with reading(engine) as connection:
        assert connection.execute(select(func.max(numbers.c.number), func.count())).one() == (75, 75)
    engine.dispose()


def test_the_connection_is_set_up_for_safety(tmp_path: Path) -> None:
    """WAL, synchronous=FULL (2), foreign keys, and time to wait for a lock."""
    engine = open_database(tmp_path / "box.sqlite")
    with reading(engine) as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() for pragma in pragmas]
    engine.dispose()
    assert found == ["wal", 2, 1, 15_000]
    assert (tmp_path / "box.sqlite").stat().st_mode & 0o077 == 0


def test_a_block_that_raises_writes_nothing(tmp_path: Path) -> None:
    """All of a transaction or none of it."""
    engine = open_database(tmp_path / "box.sqlite")
    create_schema(engine, OWN)
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        connection.execute(insert(numbers).values(number=1))
        raise ZeroDivisionError
    with reading(engine) as connection:
        assert connection.execute(select(numbers)).all() == []
    engine.dispose()


ONE = insert(numbers).values(number=1)
PREPARED = Prepared(insert(numbers), ["number"])


@pytest.mark.parametrize(
    "write",
    [
        lambda connection: connection.execute(ONE),
        lambda connection: PREPARED.execute(connection, number=1),
        lambda connection: (PREPARED.execute(connection, number=2), connection.execute(ONE)),
    ],
    ids=["SQLAlchemy", "prepared", "both"],
)
def test_whoever_writes_takes_part_in_the_transaction(tmp_path: Path, write: Callable[[Connection], object]) -> None:
    """What is executed either way is undone together or durable together; the connection is good for the next."""
    engine, other = open_database(tmp_path / "d" / "x.db"), open_database(tmp_path / "d" / "x.db")
    create_schema(engine, OWN)
    with engine.connect() as connection:
        with pytest.raises(RuntimeError), transaction(connection):
            write(connection)
            raise RuntimeError
        with pytest.raises(IntegrityError), transaction(connection):
            write(connection)
            PREPARED.execute(connection, number=1)
        with transaction(connection):
            write(connection)
            with reading(other) as beside:
                assert beside.execute(select(func.count()).select_from(numbers)).scalar_one() == 0
        with reading(other) as beside:
            assert 1 in beside.execute(select(numbers.c.number)).scalars().all()
    engine.dispose()
    other.dispose()


def test_box_and_cloud_never_share_a_file(tmp_path: Path) -> None:
    """Each finds out that the file is the other's, and does not add tables to it."""
    engine = open_database(tmp_path / "box.sqlite")
    create_schema(engine, METADATA)
    with pytest.raises(DatabaseUnusable, match="other side"):
        create_schema(engine, CLOUD_METADATA)
    with reading(engine) as connection:
        tables = set(connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE type = 'table'").scalars())
    engine.dispose()
    assert deliveries.name in tables
    assert not tables & set(CLOUD_METADATA.tables)


def test_a_schema_from_the_future_is_left_alone(tmp_path: Path) -> None:
    """An older program does not touch what a newer one wrote."""
    engine = open_database(tmp_path / "box.sqlite")
    with writing(engine) as connection:
        connection.exec_driver_sql("PRAGMA user_version = 99")
    with pytest.raises(DatabaseUnusable, match="99"):
        create_schema(engine)
    engine.dispose()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """With what to do about it; the file is left as it was."""
    path = tmp_path / "box.sqlite"
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(DatabaseUnusable, match="Move it away"):
        open_database(path)
    assert path.read_bytes().startswith(b"this is no database")


@pytest.mark.parametrize(
    ("version", "safe"), [("3.40.1", False), ("3.51.2", False), ("3.51.3", True), ("3.100.0", True)]
)
def test_sqlite_with_the_wal_reset_bug_is_refused(version: str, safe: bool) -> None:
    """Fixed in 3.51.3."""
    if safe:
        check_sqlite(version)
    else:
        with pytest.raises(DatabaseUnusable, match=version):
            check_sqlite(version)


def test_the_linked_sqlite_is_safe() -> None:
    """The one these tests run with."""
    check_sqlite(sqlite_version())


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1000, 1234])
def test_portions_hold_every_value_once(count: int) -> None:
    """In order, none of them larger than one query takes, and none of them empty."""
    values = {f"{number:05}" for number in range(count)}
    parts = list(portions(values))
    assert [one for part in parts for one in part] == sorted(values)
    assert all(0 < len(part) <= 500 for part in parts)
