"""Sessions: found by a token that is not kept, and ended in time."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, select

from appliance.people.roles import Role
from appliance.people.sessions import (
    MOST_SESSIONS,
    Times,
    begin_session,
    end_others,
    end_session,
    find_session,
    note_use,
    sessions_of,
    still_stands,
    wants_noting,
)
from appliance.people.tables import sessions
from store_forward.database import reading, writing
from tests.signed_in import put_user

TIMES = Times(idle_s=100.0, whole_s=1000.0)


@pytest.fixture(autouse=True)
def anna(engine: Engine) -> None:
    """Somebody whose sessions these are."""
    put_user(engine, "anna", Role.OPERATOR, names=False)


def begin(engine: Engine, now: float = 0.0) -> str:
    """A session that begins at ``now``."""
    with writing(engine) as conn:
        return begin_session(conn, "anna", "192.0.2.1", "b" * 1000, TIMES, now)


def test_the_token_is_random_and_only_its_digest_is_kept(engine: Engine) -> None:
    """Who reads the database cannot take over a session."""
    first, second = begin(engine), begin(engine)
    assert first != second
    assert len(first) >= 43  # 256 bits
    with reading(engine) as conn:
        kept = str(conn.execute(select(sessions)).all())
        found = find_session(conn, first, TIMES, 1.0)
    assert first not in kept
    assert found is not None
    assert (found.user, found.role, found.sees_patients, len(found.browser)) == ("anna", Role.OPERATOR, False, 200)


def test_no_other_token_finds_it(engine: Engine) -> None:
    """Nothing, a changed letter, or its digest."""
    token = begin(engine)
    with reading(engine) as conn:
        digest = conn.execute(select(sessions.c.token_digest)).scalar_one()
        for other in ("", "A" + token[1:] if token[0] != "A" else "B" + token[1:], token[:-1], token + "x", digest):
            assert find_session(conn, other, TIMES, 1.0) is None


@pytest.mark.parametrize(("now", "stands"), [(0.0, True), (99.0, True), (100.0, False), (1000.0, False)])
def test_it_ends_when_nothing_is_done(engine: Engine, now: float, stands: bool) -> None:
    """For ``idle_s``."""
    token = begin(engine)
    with reading(engine) as conn:
        assert (find_session(conn, token, TIMES, now) is not None) is stands


def test_use_prolongs_it_but_not_beyond_its_whole_time(engine: Engine) -> None:
    """A use is written down at most once a minute."""
    token = begin(engine)
    for now in range(70, 1000, 70):
        with writing(engine) as conn:
            session = find_session(conn, token, TIMES, float(now))
            assert session is not None
            assert wants_noting(session, now)
            note_use(conn, session, now)
            assert not wants_noting(find_session(conn, token, TIMES, now) or session, now + 59.0)
    with reading(engine) as conn:
        assert find_session(conn, token, TIMES, 1000.0) is None


def test_it_can_be_ended_and_the_others_with_it(engine: Engine) -> None:
    """One's own sessions only."""
    put_user(engine, "ben", Role.VIEWER)
    tokens = [begin(engine, float(at)) for at in range(3)]
    with writing(engine) as conn:
        bens = begin_session(conn, "ben", "", "", TIMES, 0.0)
        session = find_session(conn, tokens[1], TIMES, 5.0)
        assert session is not None
        assert len(sessions_of(conn, "anna", TIMES, 5.0)) == 3
        end_others(conn, session)
        assert [one.digest for one in sessions_of(conn, "anna", TIMES, 5.0)] == [session.digest]
        assert find_session(conn, bens, TIMES, 5.0) is not None
        end_session(conn, session.digest)
        assert not still_stands(conn, session.digest, TIMES, 5.0)


def test_there_are_only_so_many(engine: Engine) -> None:
    """The one used longest ago goes; what has ended by time leaves no rows."""
    tokens = [begin(engine, at / 10.0) for at in range(MOST_SESSIONS + 5)]
    with reading(engine) as conn:
        standing = [find_session(conn, token, TIMES, 5.0) is not None for token in tokens]
    assert standing == [False] * 5 + [True] * MOST_SESSIONS
    begin(engine, 5000.0)
    with reading(engine) as conn:
        assert len(conn.execute(select(sessions)).all()) == 1
