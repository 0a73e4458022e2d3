"""SQLite, opened the one safe way: WAL, synchronous=FULL, and transactions that we begin ourselves.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections write and checkpoint at once, and
several processes share ours: an older library is refused. ``BEGIN IMMEDIATE`` takes the write lock before
anything is read, so a transaction that decides on what it read never fails half-way with SQLITE_BUSY.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlcipher3.dbapi2 as sqlite
from sqlalchemy import URL, ClauseElement, Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from store_forward.durable import make_folder
from store_forward.errors import DatabaseUnusable

METADATA: Final = MetaData(info={"application_id": 0x53434258})
"""The box's tables. The cloud has a MetaData and an application_id of its own: they never share a file."""

SCHEMA_VERSION: Final = 4
OLDEST_SAFE_SQLITE: Final = (3, 51, 3)
BUSY_TIMEOUT_S: Final = 15.0
_DIALECT: Final = SQLiteDialect_pysqlite()
_MOST_VALUES: Final = 500


def sqlite_version() -> str:
    """The version of the SQLite library that is linked, as "3.53.4"."""
    return str(sqlite.sqlite_version)


def check_sqlite(version: str) -> None:
    """Raise DatabaseUnusable when ``version`` has the WAL-reset bug."""
    if tuple(int(part) for part in version.split(".")) < OLDEST_SAFE_SQLITE:
        wanted = ".".join(str(part) for part in OLDEST_SAFE_SQLITE)
        raise DatabaseUnusable(
            f"SQLite {version} can corrupt a database that several processes write",
            f"Install a sqlcipher3 package that is linked with SQLite {wanted} or newer.",
        )


def open_database(path: Path, key: bytes | None = None) -> Engine:
    """Open the database file, making it and its folder if they are missing.

    ``key``, 32 bytes, is what SQLCipher encrypts every page with, the log's too; None: nothing is encrypted. The
    engine may be used by every thread of this process; another process opens its own. Raises DatabaseUnusable when the
    linked SQLite is unsafe or the file is not a database, OSError when the folder cannot be made.
    """
    check_sqlite(sqlite_version())
    make_folder(path.parent)
    engine = create_engine(URL.create("sqlite", database=str(path)), module=sqlite, pool_size=8, max_overflow=24)
    event.listen(engine, "connect", partial(_prepare, key))
    event.listen(engine, "begin", _begin)
    try:
        engine.connect().close()
        path.chmod(0o600)
    except OperationalError:
        engine.dispose()
        raise
    except DatabaseError as error:
        engine.dispose()
        raise DatabaseUnusable(
            "the database file is not one that SQLite can read",
            "Move it away and start again; spooled images are untouched. Keep the file for repair.",
        ) from error
    return engine


def portions(values: Collection[str]) -> Iterator[list[str]]:
    """The values in order, so many at a time as one query takes."""
    ordered = sorted(values)
    for start in range(0, len(ordered), _MOST_VALUES):
        yield ordered[start : start + _MOST_VALUES]


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction, begun IMMEDIATE; durable when the block is left, undone when it raises.

    Raises sqlalchemy.exc.OperationalError when another process holds the write lock longer than the busy
    time-out, or the disk does not take the commit.
    """
    with engine.connect() as connection, transaction(connection):
        yield connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """As :func:`writing`, on a connection of whoever has many transactions to make and closes it in the end.

    SQLAlchemy takes part from the first statement it is given; what is :class:`Prepared` alone does without it.
    """
    _BEGIN_IMMEDIATE.execute(connection)
    try:
        yield
        if connection.in_transaction():
            connection.commit()
        else:
            _COMMIT.execute(connection)
    except BaseException:
        connection.rollback()  # of SQLAlchemy's part, if it has one
        if _driver(connection).in_transaction:
            _ROLLBACK.execute(connection)
        raise


class Prepared:
    """A statement for a place where every image passes: put into words once, and executed without SQLAlchemy's help.

    Columns come as SQLite has them: for texts and numbers only.
    """

    def __init__(self, statement: ClauseElement, columns: Iterable[str] = ()) -> None:
        """``columns`` are those that an insert without values is going to be executed with."""
        compiled: Any = statement.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        self._sql = str(compiled)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed = {n: v for n, v in compiled.params.items() if isinstance(v, str | int | float)}

    def execute(self, connection: Connection, **values: Any) -> Any:
        """Inside the connection's transaction; returns the driver's cursor.

        Raises sqlalchemy.exc.DBAPIError.
        """
        all_values = self._fixed | values
        ordered = tuple([all_values[name] for name in self._names])
        try:
            return _driver(connection).execute(self._sql, ordered)
        except sqlite.Error as error:
            raise DBAPIError.instance(self._sql, None, error, sqlite.Error) from error


_BEGIN_IMMEDIATE: Final = Prepared(text("BEGIN IMMEDIATE"))
_COMMIT: Final = Prepared(text("COMMIT"))
_ROLLBACK: Final = Prepared(text("ROLLBACK"))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One read transaction: every query in the block sees the same state, and writers are not held up."""
    with engine.connect() as connection, connection.begin():
        yield connection


def empty_log(engine: Engine) -> bool:
    """Take the write-ahead log into the database and cut it to nothing; False while somebody reads from it.

    Raises sqlalchemy.exc.DBAPIError.
    """
    with engine.connect() as connection:
        busy, _, _ = _driver(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy


def create_schema(engine: Engine, metadata: MetaData = METADATA) -> None:
    """Create the tables of ``metadata`` that are missing and set the schema version.

    Safe when several processes do it at once. Raises DatabaseUnusable when the file has another schema
    version, or belongs to the other side of the link.
    """
    owner = int(metadata.info["application_id"])
    with writing(engine) as connection:
        version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if version not in (0, SCHEMA_VERSION):
            raise DatabaseUnusable(
                f"the database has schema version {version}, this program reads {SCHEMA_VERSION}",
                "Use the version of the program that wrote it, or move the database away.",
            )
        if version and connection.exec_driver_sql("PRAGMA application_id").scalar_one() != owner:
            raise DatabaseUnusable(
                "the database belongs to another program, or to the other side of the link",
                "Box and cloud each need a home folder of their own.",
            )
        metadata.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA application_id = {owner}")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")


def unlock(connection: Any, key: bytes | None) -> None:
    """Give a new connection of the driver its key; before anything else is asked of it."""
    if key is not None:
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA cipher_log_level = NONE")  # what is wrong is raised


def _prepare(key: bytes | None, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    unlock(connection, key)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA temp_store = MEMORY")  # what is sorted must not lie open on the disk either
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Only the first connection ever changes the mode; SQLite does not wait for the lock that needs."""
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            cursor.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _begin(connection: Connection) -> None:
    if not _driver(connection).in_transaction:  # begun by :func:`transaction`
        connection.exec_driver_sql("BEGIN")


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
