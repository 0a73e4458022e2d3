"""The cloud's clock beside ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine

from appliance.machine.cloud_clock import NOTED_AGAIN_S, CloudClock, CloudClockRecord, cloud_clock_of
from store_forward.database import create_schema, open_database, reading
from store_forward.exchange import Exchange


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty box."""
    made = open_database(tmp_path / "box.db")
    create_schema(made)
    yield made
    made.dispose()


def noted(engine: Engine) -> CloudClock | None:
    """What the page would show."""
    with reading(engine) as conn:
        return cloud_clock_of(conn)


def test_it_is_written_down_when_it_changes_and_now_and_then(engine: Engine) -> None:
    """Not for every poll; and an answer without a time changes nothing."""
    record = CloudClockRecord(engine)
    record.note(None, 10.0)
    assert noted(engine) is None
    for ahead_s, now, expected in (
        (0.4, 100.0, CloudClock(0.4, 100.0)),
        (-0.6, 110.0, CloudClock(0.4, 100.0)),
        (-3600.0, 120.0, CloudClock(-3600.0, 120.0)),
        (-3600.2, 120.0 + NOTED_AGAIN_S, CloudClock(-3600.2, 120.0 + NOTED_AGAIN_S)),
    ):
        record.note(ahead_s, now)
        assert noted(engine) == expected


def test_a_disk_that_takes_no_row_keeps_nobody_from_asking_on(engine: Engine) -> None:
    """It is written down when there is room again."""
    record = CloudClockRecord(engine)
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE cloud_clock RENAME TO gone")
    record.note(1.0, 10.0)
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE gone RENAME TO cloud_clock")
    record.note(1.0, 20.0)
    assert noted(engine) == CloudClock(1.0, 20.0)


@pytest.mark.parametrize(
    ("date", "known"), [("Sat, 21 Nov 2026 21:00:00 GMT", True), ("yesterday", False), ("", False)]
)
def test_an_answer_tells_the_time_by_its_date(date: str, known: bool) -> None:
    """As any HTTP server writes it (RFC 9110 6.6.1); what is no date tells nothing."""
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, headers={"Date": date}))
    exchange = Exchange("http://127.0.0.1:9", "token", 1.0, httpx2.Client(transport=transport))
    exchange.ask("GET", "/")
    exchange.close()
    assert (exchange.clock_ahead_s is not None) == known
