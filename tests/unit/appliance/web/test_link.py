"""The page of the links: what is said of each, and its buttons."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import select, text

from appliance.web import link
from appliance.web.people import Person, Role
from store_forward.database import reading, writing
from store_forward.outbox import (
    DeliveryRequest,
    deferred,
    delivered,
    deliveries,
    delivery_events,
    enqueue,
    lease,
    record_contact,
    refused,
)
from tests.unit.appliance.web.rows import NOW, Rows

HEADERS = {"origin": "http://127.0.0.1:8080"}


def words(rows: Rows, path: str = "/link") -> str:
    """The page's text without its line breaks."""
    answer = rows.client().get(path)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def press(rows: Rows, path: str) -> str:
    """Where a button leads."""
    answer = rows.client().post(path, headers=HEADERS, follow_redirects=False)
    assert answer.status_code == 303
    return answer.headers["location"]


def states(rows: Rows) -> dict[int, str]:
    """Every delivery's state."""
    with reading(rows.engine) as conn:
        return {row.id: row.state for row in conn.execute(select(deliveries))}


def carry(rows: Rows, size_bytes: int, seconds: float) -> None:
    """One that arrives at the cloud."""
    with writing(rows.engine) as conn:
        request = DeliveryRequest(f"{size_bytes}", "1", 1, "escalation", "cloud", 0, "0" * 64, size_bytes, "a/b")
        enqueue(conn, request, NOW - 100)
        held = lease(conn, "cloud", "me", NOW - seconds, 600)
        assert held is not None
        delivered(conn, held, "receipt", NOW)


def park_many(rows: Rows, number: int, cause: str, destination: str = "pacs-main") -> None:
    """Refused one after the other, each with its own words."""
    with writing(rows.engine) as conn:
        for each in range(number):
            key = f"{destination}{cause}{each}"
            enqueue(conn, DeliveryRequest(key, "1", 1, "report", destination, 2, "0" * 64, 10, "a/b"), NOW - 50 + each)
            held = lease(conn, destination, "me", NOW, 60)
            assert held is not None
            refused(conn, held, cause, f"words {each}", NOW)


def test_a_lane_says_speed_load_and_when_it_will_be_done(rows: Rows) -> None:
    """At the measured speed, by priority, with what goes next."""
    carry(rows, 2_000_000, 4.0)
    with writing(rows.engine) as conn:
        record_contact(conn, "cloud", "cloud", "down", "cloud_unreachable", NOW - 600)
        for number, priority in enumerate((0, 1, 3)):
            size_bytes = 50_000_000 * (priority + 1)
            key, digest = f"k{number}", "0" * 64
            enqueue(conn, DeliveryRequest(key, "1", 1, "escalation", "cloud", priority, digest, size_bytes, "a/b"), NOW)
        held = lease(conn, "cloud", "me", NOW, 60)
        assert held is not None
        deferred(conn, held, "cloud_unreachable", "", NOW, random.Random(1))
    said = words(rows)
    for part in (
        "no connection · for 10 min", "500 kB per second", "(last hour)", "3 · 350 MB", "11 min", "once it is back",
        '<th scope="row">Urgent</th><td class="number">1</td><td class="number">50.0 MB</td>',
        '<th scope="row">Escalations</th>', '<th scope="row">Bulk</th>',
        "Delivered in 24 hours: <b>2.0 MB</b>, 1 delivery",
        "Cloud unreachable", "Next to go", "not known: nothing was carried for a week", "nothing waits",
        "one whole day of record is needed",
    ):  # fmt: skip
        assert part in said, part


def test_parked_ones_are_grouped_by_what_is_wrong(rows: Rows) -> None:
    """The largest group first, with the newest words of the far side, however many there are."""
    park_many(rows, 5, "pacs_refused_object")
    park_many(rows, 2, "spool_object_damaged")
    park_many(rows, 1, "cloud_refused", "cloud")
    said = words(rows)
    assert said.index("cloud: Cloud refused") < said.index("pacs-main: Pacs refused object")
    assert said.index("pacs-main: Pacs refused object") < said.index("pacs-main: Spool object damaged")
    assert ("“words 4”" in said, "“words 2”" in said, said.count("“words 1”")) == (True, True, 1)
    assert ("and 2 more" in said, "Retry all 5" in said, "Retry this one" in said) == (True, True, True)


def test_a_press_makes_one_group_due(rows: Rows) -> None:
    """Nothing else; and the history says it."""
    park_many(rows, 3, "pacs_refused_object")
    park_many(rows, 2, "spool_object_damaged")
    place = press(rows, "/link/parked/retry?destination=pacs-main&cause=pacs_refused_object")
    assert place == "/link?retried=3"
    assert "3 deliveries are due now." in words(rows, place)
    assert list(states(rows).values()) == ["waiting"] * 3 + ["parked"] * 2
    with reading(rows.engine) as conn:
        causes = conn.scalars(select(delivery_events.c.cause).where(delivery_events.c.state_from == "parked")).all()
    assert causes == ["retried_by_person"] * 3
    assert press(rows, "/link/parked/retry?destination=nowhere&cause=x") == "/link?retried=0"


def test_no_press_holds_up_the_box(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many move at once, and the page says that there are more."""
    monkeypatch.setattr(link, "MOST_AT_ONCE", 2)
    park_many(rows, 3, "pacs_refused_object")
    place = press(rows, "/link/parked/retry?destination=pacs-main&cause=pacs_refused_object")
    assert "the rest is still parked" in words(rows, place)
    assert sorted(states(rows).values()) == ["parked", "waiting", "waiting"]


def test_one_at_a_time(rows: Rows) -> None:
    """Set aside and taken back; a number that nothing has is a 404 and no other form is believed."""
    number = rows.delivery("1", "report", "pacs-main")
    assert press(rows, f"/link/deliveries/{number}/park") == "/link?parked=1"
    assert states(rows) == {number: "parked"}
    assert "1 delivery was set aside." in words(rows, "/link?parked=1")
    assert press(rows, f"/link/deliveries/{number}/retry") == "/link?retried=1"
    assert states(rows) == {number: "waiting"}
    client = rows.client()
    for wrong in ("99", str(2**70)):
        assert client.post(f"/link/deliveries/{wrong}/retry", headers=HEADERS).status_code == 404
    assert client.post(f"/link/deliveries/{number}/park", headers={"origin": "http://evil.example"}).status_code == 403
    for nonsense in ("retried=x", "retried=99999999999", "parked=-1", "retried=%C2%B2"):
        assert 'class="said"' not in words(rows, f"/link?{nonsense}")


def test_who_only_looks_has_no_buttons(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does pressing one from elsewhere help."""
    park_many(rows, 2, "pacs_refused_object")
    viewer = Person("eve", Role.VIEWER, sees_patients=False)
    monkeypatch.setattr("appliance.web.site.person_of", lambda *_: viewer)
    assert "<button" not in words(rows, "/fragments/link")
    client = rows.client()
    for path in ("parked/retry?destination=pacs-main&cause=pacs_refused_object", "deliveries/1/park"):
        assert client.post(f"/link/{path}", headers=HEADERS).status_code == 403
    assert set(states(rows).values()) == {"parked"}


def test_what_is_parked_is_found_by_its_index(rows: Rows) -> None:
    """Grouped without reading what is not parked."""
    query = "SELECT min(cause) FROM deliveries WHERE destination = 'a' AND state = 'parked' AND cause > 'b'"
    with reading(rows.engine) as conn:
        assert "COVERING INDEX deliveries_parked" in str(conn.execute(text(f"EXPLAIN QUERY PLAN {query}")).all())


def test_a_box_without_links_says_so(rows: Rows, tmp_path: Path) -> None:
    """And still for how long it can work alone."""
    rows.configure(tmp_path, cloud={}, pacs=[])
    assert "No cloud and no PACS is configured" in words(rows)
    assert "Without any link" in words(rows)
