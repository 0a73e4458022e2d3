"""Tokens for programs: named, of one scope, shown once, kept as their digest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from appliance.people.errors import NameTaken, NoSuchToken
from appliance.people.history import record_change
from appliance.people.names import as_written, fit_name
from appliance.people.roles import Person, Role
from appliance.people.secrets import digest_of, new_secret
from appliance.people.tables import api_tokens

#: So that a token that lies about is recognised as one.
PREFIX: Final = "scanside_"
DAY_S: Final = 86_400.0


class Scope(StrEnum):
    """What a token is for: each may do all that those before it may."""

    STATUS = "status"
    STUDIES = "studies"
    OPERATE = "operate"
    ADMINISTER = "administer"


ROLE_OF: Final = {
    Scope.STATUS: Role.MONITOR,
    Scope.STUDIES: Role.VIEWER,
    Scope.OPERATE: Role.OPERATOR,
    Scope.ADMINISTER: Role.ADMINISTRATOR,
}


@dataclass(frozen=True)
class Token:
    """One token, without its secret. Times are epoch seconds; ``expires_at`` None: never."""

    name: str
    scope: Scope
    sees_patients: bool
    added_at: float
    added_by: str
    expires_at: float | None


def add_token(
    connection: Connection, name: str, scope: Scope, sees_patients: bool, days: float | None, by: str, now: float
) -> str:
    """Add a token and return its secret, which is not kept. Raises NameUnfit, NameTaken."""
    kept, secret = fit_name(name), new_secret(PREFIX)
    if connection.execute(select(api_tokens.c.name).where(api_tokens.c.name == kept)).first() is not None:
        raise NameTaken(f"there is a token {kept} already; remove it first, or choose another name")
    shows = sees_patients and scope is not Scope.STATUS
    row = {"name": kept, "token_digest": digest_of(secret), "scope": scope.value, "sees_patients": shows}
    expires_at = None if days is None else now + days * DAY_S
    connection.execute(insert(api_tokens).values(**row, added_at=now, added_by=by, expires_at=expires_at))
    record_change(connection, by, "token_added", kept, now, scope.value)
    return secret


def remove_token(connection: Connection, name: str, by: str, now: float) -> None:
    """It opens nothing from now on. Raises NoSuchToken."""
    kept = as_written(name)
    if not connection.execute(delete(api_tokens).where(api_tokens.c.name == kept)).rowcount:
        raise NoSuchToken(f"there is no token {name}; scanside tokens list shows which there are")
    record_change(connection, by, "token_removed", kept, now)


def all_tokens(connection: Connection) -> list[Token]:
    """Every token, by name; those that have expired are among them."""
    c = api_tokens.c
    columns = (c.name, c.scope, c.sees_patients, c.added_at, c.added_by, c.expires_at)
    return [Token(row[0], Scope(row[1]), *row[2:]) for row in connection.execute(select(*columns).order_by(c.name))]


def who_shows(connection: Connection, secret: str, now: float) -> Person | None:
    """Whom this token stands for; None when there is none, or it has expired."""
    row = connection.execute(select(api_tokens).where(api_tokens.c.token_digest == digest_of(secret))).one_or_none()
    if row is None or (row.expires_at is not None and now >= row.expires_at):
        return None
    return Person(f"token {row.name}", ROLE_OF[Scope(row.scope)], row.sees_patients)
