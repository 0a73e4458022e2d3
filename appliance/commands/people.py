"""``scanside users`` and ``scanside tokens``, over the box's database; also while the box runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import typer
from sqlalchemy import Connection

from appliance.home import open_home
from appliance.people.errors import PeopleError
from appliance.people.roles import Role
from appliance.people.tokens import Scope, add_token, all_tokens, remove_token
from appliance.people.users import (
    add_user,
    all_users,
    lock_user,
    remove_user,
    set_password,
    set_role,
    unlock_user,
)
from appliance.settings import Settings
from appliance.web.wording import machine_time
from store_forward.database import reading, writing

#: Who did it, in the history: nobody who had to sign in.
CONSOLE = ""

Row = dict[str, Any]
Wish = Callable[[Connection, float], Row]


def change_of(settings: Settings, wish: Wish) -> Row:
    """Carry out a wish in one transaction; what cannot be done is told in ``error`` and changes nothing."""
    home = open_home(settings)
    try:
        with writing(home.engine) as connection:
            return wish(connection, time.time())
    except PeopleError as error:
        return {"error": str(error), "cause": error.code}
    finally:
        home.engine.dispose()


def asked_password() -> str:
    """A password: asked for twice at a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def add(name: str, password: str, role: str, names: bool) -> Wish:
    """Add a user."""

    def wish(connection: Connection, now: float) -> Row:
        kept = add_user(connection, name, password, Role[role.upper()], names, CONSOLE, now)
        return {"name": kept, "done": "added"}

    return wish


def role_of(name: str, role: str, names: bool, even_last: bool) -> Wish:
    """Give another role."""

    def wish(connection: Connection, now: float) -> Row:
        set_role(connection, name, Role[role.upper()], names, CONSOLE, now, even_last=even_last)
        return {"name": name, "done": f"{role} from now on"}

    return wish


def password_of(name: str, password: str) -> Wish:
    """Give another password."""

    def wish(connection: Connection, now: float) -> Row:
        set_password(connection, name, password, CONSOLE, now)
        return {"name": name, "done": "password changed"}

    return wish


def lock(name: str, even_last: bool) -> Wish:
    """Lock a user."""

    def wish(connection: Connection, now: float) -> Row:
        lock_user(connection, name, CONSOLE, now, even_last=even_last)
        return {"name": name, "done": "locked"}

    return wish


def unlock(name: str) -> Wish:
    """Unlock a user."""

    def wish(connection: Connection, now: float) -> Row:
        unlock_user(connection, name, CONSOLE, now)
        return {"name": name, "done": "unlocked"}

    return wish


def remove(name: str, even_last: bool) -> Wish:
    """Remove a user."""

    def wish(connection: Connection, now: float) -> Row:
        remove_user(connection, name, CONSOLE, now, even_last=even_last)
        return {"name": name, "done": "removed"}

    return wish


def token(name: str, scope: str, names: bool, days: float | None) -> Wish:
    """Add a token."""

    def wish(connection: Connection, now: float) -> Row:
        return {"name": name, "token": add_token(connection, name, Scope(scope), names, days, CONSOLE, now)}

    return wish


def token_removed(name: str) -> Wish:
    """Remove a token."""

    def wish(connection: Connection, now: float) -> Row:
        remove_token(connection, name, CONSOLE, now)
        return {"name": name, "done": "removed"}

    return wish


def list_users(settings: Settings) -> list[Row]:
    """Every user as plain values; nothing of the password."""
    home = open_home(settings)
    with reading(home.engine) as connection:
        found = all_users(connection)
    home.engine.dispose()
    return [
        {
            "name": one.name,
            "role": one.role.word,
            "names": one.sees_patients,
            "locked": one.locked_at is not None,
            "signed_in_at": one.signed_in_at,
        }
        for one in found
    ]


def user_line(row: Row) -> str:
    """The same for a person."""
    names = "with names" if row["names"] else "without names"
    seen = f"last signed in {machine_time(row['signed_in_at'])}" if row["signed_in_at"] else "has never signed in"
    return f"{row['name']:<24} {row['role']:<14} {names:<14} {seen}{', locked' if row['locked'] else ''}"


def list_tokens(settings: Settings) -> list[Row]:
    """Every token as plain values; nothing of its secret."""
    home = open_home(settings)
    with reading(home.engine) as connection:
        found = all_tokens(connection)
    home.engine.dispose()
    return [
        {"name": one.name, "scope": one.scope.value, "names": one.sees_patients, "expires_at": one.expires_at}
        for one in found
    ]


def token_line(row: Row) -> str:
    """The same for a person."""
    names = "with names" if row["names"] else "without names"
    until = f"until {machine_time(row['expires_at'])}" if row["expires_at"] else "does not expire"
    return f"{row['name']:<24} {row['scope']:<14} {names:<14} {until}"
