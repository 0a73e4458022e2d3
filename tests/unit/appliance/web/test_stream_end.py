"""The stream of changes ends with the session that opened it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx2
import pytest
from sqlalchemy import Engine

from appliance.people.roles import Role
from appliance.people.users import lock_user
from appliance.web.app import build_app
from appliance.web.cookies import SESSION
from store_forward.database import writing
from tests.served import served
from tests.signed_in import put_session, put_user
from tests.unit.appliance.web.rows import NOW, Rows


def _lock(engine: Engine) -> None:
    with writing(engine) as conn:
        lock_user(conn, "anna", "", NOW, even_last=True)


ENDS: dict[str, Callable[[Rows], None]] = {
    "locked": lambda rows: _lock(rows.engine),
    "in time": lambda rows: setattr(rows, "now", NOW + 50_000.0),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_stream_ends_with_the_session(rows: Rows, end: str) -> None:
    """It says so, so that the page asks to sign in instead of calling the box stale."""
    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    cookies = {SESSION: put_session(rows.engine, "anna", NOW)}
    app = build_app(rows.settings, rows.engine, rows.spool, lambda: rows.now)
    events = []
    with (
        served(app) as port,
        httpx2.stream("GET", f"http://127.0.0.1:{port}/events", cookies=cookies, timeout=60) as stream,
    ):
        assert stream.status_code == 200
        for line in stream.iter_lines():
            if line.startswith("event:"):
                events.append(line.partition(": ")[2])
                if len(events) == 1:
                    threading.Thread(target=ENDS[end], args=(rows,)).start()
    assert events[0] == "state"
    assert events[-1] == "signed_out"


def test_with_the_first_user_the_open_streams_end(rows: Rows) -> None:
    """Whoever watched as everybody has to sign in like everybody else."""
    app = build_app(rows.settings, rows.engine, rows.spool, lambda: rows.now)
    events = []
    with served(app) as port, httpx2.stream("GET", f"http://127.0.0.1:{port}/events", timeout=60) as stream:
        for line in stream.iter_lines():
            if line.startswith("event:"):
                events.append(line.partition(": ")[2])
                if len(events) == 1:
                    put_user(rows.engine, "anna", Role.ADMINISTRATOR)
    assert events[-1] == "signed_out"
