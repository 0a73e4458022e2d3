"""Users: added, changed, locked and removed, each with a row of the history."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Engine, select

from appliance.people.errors import (
    FirstAdministrator,
    LastAdministrator,
    NameTaken,
    NameUnfit,
    NoSuchUser,
    PasswordUnfit,
    PeopleError,
)
from appliance.people.roles import Role
from appliance.people.sessions import Times, begin_session, find_session
from appliance.people.tables import users
from appliance.people.users import (
    add_user,
    all_users,
    has_users,
    lock_user,
    recent_changes,
    remove_user,
    set_password,
    set_role,
    unlock_user,
    user_named,
)
from store_forward.database import reading, writing

PASSWORD = "correct horse battery"
TIMES = Times(3600.0, 43_200.0)


def add(engine: Engine, name: str, role: Role = Role.ADMINISTRATOR) -> str:
    """Add a user in a transaction of its own."""
    with writing(engine) as conn:
        return add_user(conn, name, PASSWORD, role, False, "root", 1.0)


def test_a_user_is_found_however_the_name_is_written(engine: Engine) -> None:
    """One way to keep each name, so nobody can pass for somebody else by capitals, width or composition."""
    assert add(engine, "  Zoé.Müller ") == "zoé.müller"
    with reading(engine) as conn:
        assert has_users(conn)
        for written in ("ZOÉ.MÜLLER", "zoe\u0301.mu\u0308ller", "ｚoé.müller"):
            found = user_named(conn, written)
            assert found is not None
            assert (found.name, found.role) == ("zoé.müller", Role.ADMINISTRATOR)
    with pytest.raises(NameTaken):
        add(engine, "ZOÉ.müller")


@pytest.mark.parametrize("name", ["أحمد", "佐藤", "o'neill", "a b", "x@y.example", "नेहा"])
def test_names_of_any_script_are_taken(engine: Engine, name: str) -> None:
    """People are called as they are called."""
    assert add(engine, name) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "<script>alert(1)</script>", "x'; DROP TABLE users; --", "a/b", "a\x00b", "a\u202eb", "-a", "a" * 65],
)
def test_what_no_name_needs_is_refused(engine: Engine, name: str) -> None:
    """Markup, SQL, paths, control and direction signs; nothing has changed."""
    with pytest.raises(NameUnfit):
        add(engine, name)
    with reading(engine) as conn:
        assert (all_users(conn), recent_changes(conn)) == ([], [])


def test_the_first_user_is_an_administrator(engine: Engine) -> None:
    """With one user everybody has to sign in, so that one must be able to add others."""
    with pytest.raises(FirstAdministrator):
        add(engine, "anna", Role.VIEWER)
    add(engine, "anna")
    add(engine, "ben", Role.VIEWER)


def test_a_weak_password_adds_nobody(engine: Engine) -> None:
    """The transaction is undone."""
    with pytest.raises(PasswordUnfit), writing(engine) as conn:
        add_user(conn, "anna", "short", Role.ADMINISTRATOR, False, "", 1.0)
    with reading(engine) as conn:
        assert not has_users(conn)


LAST: dict[str, Callable[[Connection, bool], None]] = {
    "role": lambda conn, even: set_role(conn, "anna", Role.OPERATOR, True, "x", 2.0, even_last=even),
    "lock": lambda conn, even: lock_user(conn, "anna", "x", 2.0, even_last=even),
    "remove": lambda conn, even: remove_user(conn, "anna", "x", 2.0, even_last=even),
}


@pytest.mark.parametrize("how", LAST)
def test_the_last_administrator_stays(engine: Engine, how: str) -> None:
    """Unless it is said twice; one who is locked does not count as another."""
    add(engine, "anna")
    add(engine, "ben")
    with writing(engine) as conn:
        lock_user(conn, "ben", "anna", 2.0)
    with pytest.raises(LastAdministrator), writing(engine) as conn:
        LAST[how](conn, False)
    with writing(engine) as conn:
        LAST[how](conn, True)
        unlock_user(conn, "ben", "", 3.0)
        assert [one.name for one in all_users(conn) if one.role is Role.ADMINISTRATOR and not one.locked_at] == ["ben"]


CHANGES: dict[str, Callable[[Connection], None]] = {
    "password_changed": lambda conn: set_password(conn, "ben", "another horse battery", "anna", 2.0),
    "role_changed": lambda conn: set_role(conn, "ben", Role.OPERATOR, False, "anna", 2.0),
    "user_locked": lambda conn: lock_user(conn, "ben", "anna", 2.0),
    "user_removed": lambda conn: remove_user(conn, "ben", "anna", 2.0),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_ends_the_sessions_and_is_written_down(engine: Engine, kind: str) -> None:
    """Whoever is signed in with what was true before has to sign in again; others do not."""
    add(engine, "anna")
    add(engine, "ben", Role.VIEWER)
    with writing(engine) as conn:
        tokens = {name: begin_session(conn, name, "192.0.2.1", "b", TIMES, 1.0) for name in ("anna", "ben")}
        CHANGES[kind](conn)
        assert find_session(conn, tokens["ben"], TIMES, 2.0) is None
        assert find_session(conn, tokens["anna"], TIMES, 2.0) is not None
        latest = recent_changes(conn)[0]
    assert (latest.kind, latest.by, latest.about, latest.at) == (kind, "anna", "ben", 2.0)


def test_what_is_so_already_is_no_change(engine: Engine) -> None:
    """No session ends for it, and no row is written."""
    add(engine, "anna")
    with writing(engine) as conn:
        token = begin_session(conn, "anna", "", "", TIMES, 1.0)
        set_role(conn, "anna", Role.ADMINISTRATOR, False, "", 2.0)
        unlock_user(conn, "anna", "", 2.0)
        assert find_session(conn, token, TIMES, 2.0) is not None
        assert [one.kind for one in recent_changes(conn)] == ["user_added"]


@pytest.mark.parametrize("change", [set_password, None])
def test_nobody_is_changed_who_is_not_there(engine: Engine, change: object) -> None:
    """With the command that shows who is."""
    with pytest.raises(NoSuchUser, match="scanside users list"), writing(engine) as conn:
        set_password(conn, "x'; DROP TABLE users; --", PASSWORD, "", 1.0) if change else remove_user(conn, "", "", 1.0)
    with reading(engine) as conn:
        assert conn.execute(select(users)).all() == []


def test_every_refusal_has_a_code_of_its_own() -> None:
    """Pages and scripts tell them apart by it."""
    codes = [one.code for one in PeopleError.__subclasses__()]
    assert len(set(codes)) == len(codes)
