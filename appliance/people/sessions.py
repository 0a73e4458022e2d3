"""Sessions: begun at sign-in, found again by the cookie's token, ended by time, sign-out or any change of the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from appliance.people.roles import Role
from appliance.people.secrets import digest_of, new_secret
from appliance.people.tables import sessions, users

#: A use is written down at most this often, s.
_NOTED_EVERY_S: Final = 60.0
#: Of one user; the one that was used longest ago goes.
MOST_SESSIONS: Final = 20
_LONGEST_BROWSER: Final = 200


@dataclass(frozen=True)
class Times:
    """When sessions end by themselves: so long after the last use, and after they began; seconds."""

    idle_s: float
    whole_s: float


@dataclass(frozen=True)
class Session:
    """One session of ``user``; ``digest`` is the SHA-256 of its token. Times are epoch seconds."""

    digest: str
    user: str
    role: Role
    sees_patients: bool
    began_at: float
    used_at: float
    address: str
    browser: str


def begin_session(connection: Connection, user: str, address: str, browser: str, times: Times, now: float) -> str:
    """Begin a session and return its token, which nobody can be given beforehand."""
    token = new_secret()
    _end_by_time(connection, times, now)
    own = select(sessions.c.token_digest).where(sessions.c.user == user).order_by(sessions.c.used_at.desc())
    spare = list(connection.execute(own.offset(MOST_SESSIONS - 1)).scalars())
    connection.execute(delete(sessions).where(sessions.c.token_digest.in_(spare)))
    row = {"token_digest": digest_of(token), "user": user, "began_at": now, "used_at": now, "address": address}
    connection.execute(insert(sessions).values(**row, browser=browser[:_LONGEST_BROWSER]))
    connection.execute(update(users).where(users.c.name == user).values(signed_in_at=now))
    return token


def find_session(connection: Connection, token: str, times: Times, now: float) -> Session | None:
    """The session of this token; None when there is none, it has ended, or its user is locked."""
    return _standing(connection, digest_of(token), times, now)


def still_stands(connection: Connection, digest: str, times: Times, now: float) -> bool:
    """Whether the session of this digest has not ended."""
    return _standing(connection, digest, times, now) is not None


def wants_noting(session: Session, now: float) -> bool:
    """Whether this use is long enough after the last one to be written down."""
    return not 0 <= now - session.used_at < _NOTED_EVERY_S


def note_use(connection: Connection, session: Session, now: float) -> None:
    """A person has done something in it: the idle time begins anew."""
    connection.execute(update(sessions).where(sessions.c.token_digest == session.digest).values(used_at=now))


def end_session(connection: Connection, digest: str) -> None:
    """Sign-out."""
    connection.execute(delete(sessions).where(sessions.c.token_digest == digest))


def end_others(connection: Connection, session: Session) -> None:
    """End all sessions of its user but this one."""
    others = delete(sessions).where(sessions.c.user == session.user, sessions.c.token_digest != session.digest)
    connection.execute(others)


def sessions_of(connection: Connection, user: str, times: Times, now: float) -> list[Session]:
    """A user's sessions that stand, the one used last first."""
    query = _query().where(sessions.c.user == user).order_by(sessions.c.used_at.desc())
    found = [_session(row) for row in connection.execute(query)]
    return [one for one in found if _in_time(one, times, now)]


def _standing(connection: Connection, digest: str, times: Times, now: float) -> Session | None:
    row = connection.execute(_query().where(sessions.c.token_digest == digest)).one_or_none()
    found = None if row is None else _session(row)
    return found if found is not None and _in_time(found, times, now) else None


def _query() -> Select[Any]:
    c = sessions.c
    columns = (c.token_digest, c.user, users.c.role, users.c.sees_patients, c.began_at, c.used_at, c.address, c.browser)
    return select(*columns).join(users, users.c.name == c.user).where(users.c.locked_at.is_(None))


def _session(row: Row[Any]) -> Session:
    values = dict(row._mapping)
    digest, role = values.pop("token_digest"), Role[values.pop("role").upper()]
    return Session(digest=digest, role=role, **values)


def _in_time(session: Session, times: Times, now: float) -> bool:
    """A clock that was set back ends no session, and prolongs none beyond its times from now on."""
    return now - session.used_at < times.idle_s and now - session.began_at < times.whole_s


def _end_by_time(connection: Connection, times: Times, now: float) -> None:
    c = sessions.c
    connection.execute(delete(sessions).where((c.used_at <= now - times.idle_s) | (c.began_at <= now - times.whole_s)))
