"""Users of a box and browsers in which they are signed in, without typing passwords."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Engine, insert
from starlette.testclient import TestClient

from appliance.people.passwords import password_hash
from appliance.people.roles import Role
from appliance.people.sessions import Times, begin_session
from appliance.people.tables import users
from appliance.web.cookies import SESSION
from appliance.web.forms import HEADER, token_for
from store_forward.database import writing

PASSWORD = "correct horse battery"
#: What every request of a form carries beside its token.
ORIGIN = {"origin": "http://127.0.0.1:8080"}
_TIMES = Times(3600.0, 43_200.0)


def put_user(engine: Engine, name: str, role: Role, *, names: bool = True, at: float = 0.0) -> None:
    """A user whose password is :data:`PASSWORD`."""
    row = {"name": name, "role": role.word, "sees_patients": names, "password_hash": _hash()}
    with writing(engine) as connection:
        connection.execute(insert(users).values(**row, added_at=at, password_at=at))


def put_session(engine: Engine, name: str, now: float) -> str:
    """The token of a session that this user has begun at ``now``."""
    with writing(engine) as connection:
        return begin_session(connection, name, "192.0.2.7", "browser", _TIMES, now)


def sign_in(client: TestClient, token: str) -> TestClient:
    """The client as the browser that has this session; its forms are those of the page."""
    client.cookies.set(SESSION, token)
    client.headers[HEADER] = token_for(token)
    client.headers.update(ORIGIN)
    return client


@cache
def _hash() -> str:
    return password_hash(PASSWORD, "nobody")
