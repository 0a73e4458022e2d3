"""The audit trail: a chain that is only appended to, and what tells that it is not whole."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from appliance.audit.events import EventType, application, signed, viewed
from appliance.audit.trail import Broken, Head, head, record, rows, verify
from store_forward.database import reading, writing
from tests.small_box import NOW, MakeBox


@pytest.fixture
def engine(make_box: MakeBox) -> Engine:
    """A box with five events."""
    engine = make_box().engine
    with writing(engine) as connection:
        record(connection, application(EventType.APPLICATION_START, "scanside 1"), NOW)
        record(connection, signed(EventType.LOGIN, "ada", "10.0.0.7"), NOW + 1)
        for place in range(3):
            record(connection, viewed("ada", "10.0.0.7", f"1.2.{place}", "P1"), NOW + 2 + place)
    return engine


def found(engine: Engine, kept: Head | None = None) -> Broken | Head:
    """What a verification says."""
    with reading(engine) as connection:
        return verify(connection, kept)


def tamper(engine: Engine, *statements: str) -> None:
    """As somebody who holds the file: without the triggers."""
    with writing(engine) as connection:
        for what in ("update", "delete"):
            connection.exec_driver_sql(f"DROP TRIGGER audit_trail_no_{what}")
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_trail_that_nobody_touched_is_whole(engine: Engine) -> None:
    """Its head is that of the last event, and of an empty trail there is one, too."""
    with reading(engine) as connection:
        assert found(engine) == head(connection)
        assert [row.seq for row in rows(connection)] == [1, 2, 3, 4, 5]
        assert [row.seq for row in rows(connection, after=2, since=NOW + 3)] == [4, 5]


def test_an_event_is_there_only_with_what_it_is_about(engine: Engine) -> None:
    """Both are one transaction: undone together."""

    class Undone(Exception):
        pass

    before = found(engine)
    with pytest.raises(Undone), writing(engine) as connection:
        record(connection, signed(EventType.LOGOUT, "ada", ""), NOW)
        raise Undone
    assert found(engine) == before


@pytest.mark.parametrize("statement", ["UPDATE audit_trail SET at = 0", "DELETE FROM audit_trail"])
def test_the_database_refuses_change_and_removal(engine: Engine, statement: str) -> None:
    """Even to this program."""
    with pytest.raises(DatabaseError, match="only appended to"), writing(engine) as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_trail SET event = replace(event, 'ada', 'eve') WHERE seq = 2", 2),
        ("UPDATE audit_trail SET at = at + 1 WHERE seq = 4", 4),
        ("DELETE FROM audit_trail WHERE seq = 3", 3),
        ("UPDATE audit_trail SET seq = seq + 1 WHERE seq = 5", 5),
        ("UPDATE audit_trail SET before = digest WHERE seq = 1", 1),
        ("INSERT INTO audit_trail SELECT 6, at, event, before, 'x' FROM audit_trail WHERE seq = 5", 6),
    ],
)
def test_what_was_changed_behind_our_back_is_found(engine: Engine, statement: str, broken: int) -> None:
    """At the very event."""
    tamper(engine, statement)
    result = found(engine)
    assert isinstance(result, Broken)
    assert result.seq == broken


def test_a_trail_cut_short_or_made_anew_lacks_the_head_that_was_kept(engine: Engine) -> None:
    """The chain alone holds; the head that somebody noted is not in it."""
    kept = found(engine)
    assert isinstance(kept, Head)
    assert found(engine, Head.parse(str(kept))) == kept
    tamper(engine, "DELETE FROM audit_trail WHERE seq = 5")
    assert isinstance(found(engine), Head)
    assert found(engine, kept) == Broken(
        5, "the head that was kept is not in this chain: it was cut short or made anew"
    )


@pytest.mark.parametrize("text", ["", "5", "x:" + "0" * 64, "5:abc"])
def test_what_is_no_head_is_refused(text: str) -> None:
    """With words."""
    with pytest.raises(ValueError, match=r".+"):
        Head.parse(text)
