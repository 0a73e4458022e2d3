"""The users of this box. Each change is one row of the history, in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from appliance.people.errors import FirstAdministrator, LastAdministrator, NameTaken, NoSuchUser
from appliance.people.history import record_change
from appliance.people.names import as_written, fit_name
from appliance.people.passwords import password_hash
from appliance.people.roles import Role
from appliance.people.tables import people_events, sessions, users

_MOST_EVENTS = 30


@dataclass(frozen=True)
class User:
    """One user. Times are epoch seconds; ``locked_at`` is None while the user may sign in."""

    name: str
    role: Role
    sees_patients: bool
    password_hash: str
    added_at: float
    password_at: float
    locked_at: float | None
    signed_in_at: float | None


@dataclass(frozen=True)
class Change:
    """Something that was changed about users and tokens; empty ``by``: at the console."""

    at: float
    by: str
    kind: str
    about: str
    detail: str


def has_users(connection: Connection) -> bool:
    """Whether there is any: without one nobody can sign in."""
    return connection.execute(select(users.c.name).limit(1)).first() is not None


def user_named(connection: Connection, name: str) -> User | None:
    """The user of this name, however it is written; None when there is none."""
    row = connection.execute(select(users).where(users.c.name == as_written(name))).one_or_none()
    return None if row is None else _user(row)


def all_users(connection: Connection) -> list[User]:
    """Every user, by name."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.name))]


def add_user(
    connection: Connection, name: str, password: str, role: Role, sees_patients: bool, by: str, now: float
) -> str:
    """Add a user and return the name as it is kept.

    Raises NameUnfit, NameTaken, PasswordUnfit, FirstAdministrator.
    """
    kept = fit_name(name)
    if role is not Role.ADMINISTRATOR and not has_users(connection):
        raise FirstAdministrator(f"the first user is an administrator; add one before {kept}")
    if user_named(connection, kept) is not None:
        raise NameTaken(f"there is a user {kept} already; choose another name")
    values = {"name": kept, "role": role.word, "sees_patients": sees_patients, "added_at": now, "password_at": now}
    connection.execute(insert(users).values(**values, password_hash=password_hash(password, kept)))
    record_change(connection, by, "user_added", kept, now, _in_words(role, sees_patients))
    return kept


def set_role(
    connection: Connection, name: str, role: Role, sees_patients: bool, by: str, now: float, *, even_last: bool = False
) -> None:
    """Give another role, or show names or no longer; ends the sessions. Raises NoSuchUser, LastAdministrator."""
    user = _known(connection, name)
    if (user.role, user.sees_patients) == (role, sees_patients):
        return
    if role is not Role.ADMINISTRATOR:
        _not_the_last(connection, user, even_last)
    _change(connection, user, role=role.word, sees_patients=sees_patients)
    record_change(connection, by, "role_changed", user.name, now, _in_words(role, sees_patients))


def set_password(connection: Connection, name: str, password: str, by: str, now: float) -> None:
    """Give another password; ends the sessions. Raises NoSuchUser, PasswordUnfit."""
    user = _known(connection, name)
    _change(connection, user, password_hash=password_hash(password, user.name), password_at=now)
    record_change(connection, by, "password_changed", user.name, now)


def lock_user(connection: Connection, name: str, by: str, now: float, *, even_last: bool = False) -> None:
    """Let a user sign in no more; ends the sessions. Raises NoSuchUser, LastAdministrator."""
    user = _known(connection, name)
    if user.locked_at is not None:
        return
    _not_the_last(connection, user, even_last)
    _change(connection, user, locked_at=now)
    record_change(connection, by, "user_locked", user.name, now)


def unlock_user(connection: Connection, name: str, by: str, now: float) -> None:
    """Let a user sign in again. Raises NoSuchUser."""
    user = _known(connection, name)
    if user.locked_at is not None:
        _change(connection, user, locked_at=None)
        record_change(connection, by, "user_unlocked", user.name, now)


def remove_user(connection: Connection, name: str, by: str, now: float, *, even_last: bool = False) -> None:
    """Remove a user, whose name stays in the histories. Raises NoSuchUser, LastAdministrator."""
    user = _known(connection, name)
    _not_the_last(connection, user, even_last)
    connection.execute(delete(sessions).where(sessions.c.user == user.name))
    connection.execute(delete(users).where(users.c.name == user.name))
    record_change(connection, by, "user_removed", user.name, now)


def recent_changes(connection: Connection) -> list[Change]:
    """The latest changes about users and tokens, the newest first."""
    c = people_events.c
    rows = connection.execute(select(c.at, c.by, c.kind, c.about, c.detail).order_by(c.id.desc()).limit(_MOST_EVENTS))
    return [Change(*row) for row in rows]


def _known(connection: Connection, name: str) -> User:
    user = user_named(connection, name)
    if user is None:
        raise NoSuchUser(f"there is no user {name}; scanside users list shows who there is")
    return user


def _not_the_last(connection: Connection, user: User, even_last: bool) -> None:
    if even_last or user.role is not Role.ADMINISTRATOR or user.locked_at is not None:
        return
    c = users.c
    others = select(func.count()).where(c.role == Role.ADMINISTRATOR.word, c.locked_at.is_(None), c.name != user.name)
    if not connection.execute(others).scalar_one():
        raise LastAdministrator(f"{user.name} is the last administrator; make another one first")


def _change(connection: Connection, user: User, **values: object) -> None:
    """Change the row; whoever was signed in with the former one has to sign in again."""
    connection.execute(update(users).where(users.c.name == user.name).values(**values))
    connection.execute(delete(sessions).where(sessions.c.user == user.name))


def _user(row: Row[Any]) -> User:
    values = dict(row._mapping)
    return User(**{**values, "role": Role[values["role"].upper()]})


def _in_words(role: Role, sees_patients: bool) -> str:
    return f"{role.word}, {'with' if sees_patients else 'without'} patients' names"
