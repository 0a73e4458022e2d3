"""Users for whom somebody else vouches: an OpenID provider says who they are, this box what they may."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from appliance.people.errors import UserLocked
from appliance.people.roles import Role
from appliance.people.secrets import new_secret
from appliance.people.tables import vouched_users
from appliance.people.users import add_user, set_role, user_named


@dataclass(frozen=True)
class Vouched:
    """Who somebody is by the word of ``issuer``: ``subject`` is theirs for ever, ``name`` is what they are called."""

    issuer: str
    subject: str
    name: str


def admit(connection: Connection, who: Vouched, role: Role, sees_patients: bool, by: str, now: float) -> str:
    """The name of their user, which is made when they come first, and has from now on this role.

    A user of that name whom somebody else vouches for, or who has a password, is another one.

    Raises NameTaken, NameUnfit, FirstAdministrator, UserLocked.
    """
    c = vouched_users.c
    known = select(c.user).where(c.issuer == who.issuer, c.subject == who.subject)
    name: str | None = connection.execute(known).scalar_one_or_none()
    if name is None:
        name = add_user(connection, who.name, new_secret(), role, sees_patients, by, now)  # a password nobody knows
        connection.execute(insert(vouched_users).values(issuer=who.issuer, subject=who.subject, user=name))
        return name
    user = user_named(connection, name)
    if user is None or user.locked_at is not None:
        raise UserLocked(f"{name} is locked; scanside users unlock {name}")
    set_role(connection, name, role, sees_patients, by, now, even_last=True)
    return name


def is_vouched(connection: Connection, name: str) -> bool:
    """Whether this user comes by another's word, not by a password."""
    return connection.execute(select(vouched_users.c.user).where(vouched_users.c.user == name)).first() is not None
