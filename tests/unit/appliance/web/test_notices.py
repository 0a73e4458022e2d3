"""Notices from the cloud's operator stay on the page until a person has acknowledged them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Row, select

from appliance.schema import messages
from appliance.web.box import storage_of
from appliance.web.live import state_digest
from store_forward.database import reading
from store_forward.room import Marks
from tests.unit.appliance.web.rows import NOW, Rows

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def told(rows: Rows) -> Rows:
    """A box with a warning, and lines that were refused."""
    times = {"sent_at": NOW, "received_at": NOW, "outcome_at": NOW, "told_at": NOW}
    rows.put(messages, seq=4, kind="notice", body={"level": "warning", "text": MARKUP}, outcome="shown", **times)
    rows.put(messages, seq=5, kind="thresholds", body={}, outcome="refused", reason="unreadable", **times)
    return rows


def notice(rows: Rows) -> Row[Any]:
    """The row of the warning."""
    with reading(rows.engine) as connection:
        return connection.execute(select(messages).where(messages.c.seq == 4)).one()


def test_a_notice_is_shown_as_text(told: Rows) -> None:
    """Among the problems, whatever it contains."""
    page = told.client().get("/").text
    assert "From the cloud&#39;s operator: &lt;script&gt;" in page
    assert MARKUP not in page
    assert 'action="/notices/4/acknowledge"' in page


def test_a_notice_is_acknowledged_once_and_for_all(told: Rows) -> None:
    """It goes from the page, and the cloud will be told; doing it again is no error."""
    client = told.client()
    host = str(client.base_url).rstrip("/")
    for _ in range(2):
        answer = client.post("/notices/4/acknowledge", headers={"origin": host}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "operator" not in client.get("/").text
    row = notice(told)
    assert (row.outcome, row.told_at) == ("acknowledged", None)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://localhost.evil.example"])
def test_no_foreign_site_can_acknowledge(told: Rows, origin: str) -> None:
    """A form on another page that names this one is refused."""
    answer = told.client().post("/notices/4/acknowledge", headers={"origin": origin} if origin else {})
    assert answer.status_code == 403
    assert notice(told).outcome == "shown"


@pytest.mark.parametrize("number", [5, 6])
def test_what_is_no_notice_cannot_be_acknowledged(told: Rows, number: int) -> None:
    """Neither lines nor a number that nothing has."""
    client = told.client()
    answer = client.post(f"/notices/{number}/acknowledge", headers={"origin": str(client.base_url).rstrip("/")})
    assert answer.status_code == 404


def test_a_new_notice_reaches_a_page_that_is_open(told: Rows) -> None:
    """The digest of the state changes with it, and again when it is acknowledged."""
    disk = storage_of(10, 10, Marks(0, 0, 0))

    def digest() -> str:
        with reading(told.engine) as connection:
            return state_digest(connection, NOW, disk)

    before = digest()
    times = {"sent_at": NOW, "received_at": NOW, "outcome_at": NOW + 1}
    told.put(messages, seq=6, kind="notice", body={"level": "info", "text": "hello"}, outcome="shown", **times)
    assert digest() != before
