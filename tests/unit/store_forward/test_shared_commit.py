"""Threads that wait for a commit share the next one, and each gets its own outcome."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from store_forward.database import open_database, reading, writing
from store_forward.shared_commit import SharedCommit

_WAIT_S = 20.0


class _No(Exception):
    """This one is not to stay."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with one table of numbers."""
    opened = open_database(tmp_path / "numbers.db")
    with writing(opened) as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (number INTEGER)")
    yield opened
    opened.dispose()


def _write(number: int, connection: Connection) -> int:
    connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (number,))
    if number < 0:
        raise _No
    return number


def _held(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        return sorted(connection.exec_driver_sql("SELECT number FROM numbers").scalars())


def _all_at_once(engine: Engine, numbers: list[int]) -> tuple[list[Future[int]], int]:
    """Each number written by a thread of its own while a first transaction holds all up; outcomes and commits."""
    shared, commits = SharedCommit(engine, undone_by=(_No,)), list[object]()
    begun, go_on = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        connection.exec_driver_sql("SELECT 1")  # else nobody is told of its commit
        begun.set()
        assert go_on.wait(_WAIT_S)

    with ThreadPoolExecutor(len(numbers) + 1) as threads:
        first = threads.submit(shared.run, hold)
        assert begun.wait(_WAIT_S)
        event.listen(engine, "commit", commits.append)
        outcomes = [threads.submit(shared.run, lambda c, number=number: _write(number, c)) for number in numbers]
        while len(shared._wishes) < len(numbers):
            assert not any(outcome.done() for outcome in outcomes)
        go_on.set()
    assert first.exception() is None
    return outcomes, len(commits) - 1  # less that of the first, which has come by now


def test_who_waits_shares_one_commit(engine: Engine) -> None:
    """Eight threads, one commit, and each gets what its own work returned."""
    outcomes, commits = _all_at_once(engine, list(range(8)))
    assert [outcome.result() for outcome in outcomes] == list(range(8))
    assert _held(engine) == list(range(8))
    assert commits == 1


def test_one_that_cannot_be_done_costs_the_others_nothing(engine: Engine) -> None:
    """It raises in its own thread and leaves nothing; the others are done, once each."""
    outcomes, _ = _all_at_once(engine, [1, -2, 3])
    assert isinstance(outcomes[1].exception(), _No)
    assert [outcomes[0].result(), outcomes[2].result()] == [1, 3]
    assert _held(engine) == [1, 3]


def test_a_database_that_takes_nothing_fails_all_at_once(engine: Engine) -> None:
    """Eight that each waited for the lock would take eight times as long."""

    asked: list[Connection] = []

    def locked(connection: Connection) -> None:
        asked.append(connection)
        raise OperationalError("BEGIN IMMEDIATE", None, Exception("database is locked"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}._write", lambda *_: locked(_[1]))
        outcomes, _ = _all_at_once(engine, list(range(8)))
    assert {type(outcome.exception()) for outcome in outcomes} == {OperationalError}
    assert len(asked) == 1


def test_nobody_is_told_before_the_commit(engine: Engine) -> None:
    """A commit that fails is everybody's failure."""
    shared = SharedCommit(engine, undone_by=(_No,))

    def refuse(_: Connection) -> None:
        raise OSError("no")

    event.listen(engine, "commit", refuse)
    with pytest.raises(OSError, match="no"):
        shared.run(lambda connection: _write(1, connection))
    event.remove(engine, "commit", refuse)
    assert _held(engine) == []


def test_what_nobody_foresaw_is_raised_where_it_belongs(engine: Engine) -> None:
    """Alone in its thread; who comes next is served as ever."""
    shared = SharedCommit(engine, undone_by=(_No,))
    with pytest.raises(ZeroDivisionError):
        shared.run(lambda _: 1 // 0)
    assert shared.run(lambda connection: _write(1, connection)) == 1
    assert _held(engine) == [1]


def test_an_engine_that_is_disposed_of_holds_no_file(engine: Engine, tmp_path: Path) -> None:
    """The last connection to close takes the log into the database and removes it."""
    shared = SharedCommit(engine, undone_by=(_No,))
    shared.run(lambda connection: _write(1, connection))
    engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.db"]
    assert shared.run(lambda connection: _write(2, connection)) == 2
