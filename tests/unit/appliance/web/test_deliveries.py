"""Where deliveries and links stand."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from appliance.results.commitments import Report, begin, take_report
from appliance.web.deliveries import (
    DestinationView,
    destination_views,
    escalation_state,
    parked_deliveries,
    standing_of,
)
from store_forward.database import reading, writing
from store_forward.outbox import awaiting, delivered, lease, record_contact
from tests.unit.appliance.web.rows import NOW, Rows


def views(rows: Rows) -> dict[str, DestinationView]:
    """The destinations by name."""
    with reading(rows.engine) as conn:
        return {view.name: view for view in destination_views(conn, rows.settings)}


def contact(conn: Connection, name: str, state: str, at: float) -> None:
    """One contact with a destination."""
    record_contact(conn, name, "pacs", state, "far side's words", at)


def test_configured_destinations_show_before_any_contact(rows: Rows) -> None:
    """The cloud first, with nothing claimed about links that were never tried."""
    found = views(rows)
    assert list(found) == ["cloud", "pacs-main"]
    assert {(view.state, view.since, view.waiting, view.oldest_at) for view in found.values()} == {
        ("unknown", None, 0, None)
    }


def test_depths_are_counted_by_state(rows: Rows) -> None:
    """Delivered ones are not part of the depth, and a parked one does not make the queue look old."""
    rows.delivery("1", "report", "pacs-main", "delivered")
    rows.delivery("2", "report", "pacs-main", "parked")
    rows.delivery("3", "report", "pacs-main", "leased")
    rows.delivery("4", "report", "pacs-main")
    rows.delivery("5", "picture", "pacs-main", priority=0)
    view = views(rows)["pacs-main"]
    assert (view.waiting, view.leased, view.parked, view.oldest_at) == (2, 1, 1, NOW)


def test_a_destination_that_was_taken_out_still_shows(rows: Rows) -> None:
    """What waits for it would otherwise wait for ever unseen."""
    rows.delivery("1", "report", "old-pacs")
    rows.delivery("2", "report", "zz-pacs")
    found = views(rows)
    assert list(found) == ["cloud", "pacs-main", "old-pacs", "zz-pacs"]
    assert (found["old-pacs"].configured, found["old-pacs"].waiting) == (False, 1)


def test_the_state_of_a_link_says_since_when(rows: Rows) -> None:
    """Down since the first failure, with the last time it worked."""
    with writing(rows.engine) as conn:
        for state, at in (("up", 10.0), ("down", 20.0), ("down", 30.0)):
            contact(conn, "pacs-main", state, at)
    view = views(rows)["pacs-main"]
    assert (view.state, view.since, view.last_ok_at, view.detail) == ("down", 20.0, 10.0, "far side's words")


def test_without_a_cloud_none_is_shown(rows: Rows, tmp_path: Path) -> None:
    """A box of its own has no cloud link to worry about."""
    rows.configure(tmp_path, cloud={}, pacs=[])
    assert views(rows) == {}


def test_parked_deliveries_keep_the_far_sides_words(rows: Rows) -> None:
    """Cause and detail, latest first."""
    first = rows.delivery("1", "report", "pacs-main", "parked")
    second = rows.delivery("2", "report", "pacs-main", "parked")
    with reading(rows.engine) as conn:
        parked = parked_deliveries(conn, ["cloud", "pacs-main"])
    assert [one.delivery_id for one in parked] == [second, first]
    assert (parked[0].cause, parked[0].detail) == ("pacs_refused_object", "0xA900 <i>no such class</i>")
    assert (parked[0].attempts, parked[0].parked_at) == (1, NOW + 1)


def test_a_study_shows_the_deliveries_of_its_present_revision(rows: Rows) -> None:
    """An escalation delivered for an earlier revision does not make the present one provisional."""
    rows.delivery("1", "escalation", "cloud", "delivered", revision=1)
    rows.delivery("1", "escalation", "cloud", "deferred", revision=2)
    rows.delivery("1", "report", "pacs-main", revision=2)
    with reading(rows.engine) as conn:
        sent = standing_of(conn, {"1": 2})["1"]
    assert [(one.kind, one.state, one.cause) for one in sent] == [
        ("escalation", "waiting", "cloud_unreachable"),
        ("report", "waiting", ""),
    ]
    assert escalation_state(sent) == "waiting"
    assert escalation_state(sent[1:]) is None


def test_a_commitment_that_is_awaited_and_then_given(rows: Rows) -> None:
    """Page and panel say what the PACS has done so far, and afterwards what kind of receipt it gave."""
    rows.study("1.2", "routine")
    number = rows.delivery("1.2", "report", "pacs-main")
    with writing(rows.engine) as conn:
        held = lease(conn, "pacs-main", "worker", NOW, 60)
        assert held is not None
        begin(conn, held, "1.2.3", "1.2.4", "status 0x0000", NOW, 3600.0)
        awaiting(conn, held, "commitment_awaited", "stored with status 0x0000", NOW)
    view = views(rows)["pacs-main"]
    assert (view.waiting, view.awaited, view.last_receipt) == (1, 1, "")
    assert "1 stored there, commitment awaited." in rows.client().get("/link").text
    assert "stored, commitment awaited\n" in rows.client().get("/studies/1.2").text
    with writing(rows.engine) as conn:
        assert take_report(conn, {"pacs-main"}, Report("1.2.3", frozenset({"1.2.4"}), {}), NOW)
        held = lease(conn, "pacs-main", "worker", NOW, 60)
        assert held is not None
        assert held.id == number
        delivered(conn, held, "committed; transaction 1.2.3, stored with status 0x0000", NOW + 1)
    view = views(rows)["pacs-main"]
    assert (view.waiting, view.awaited, view.last_receipt) == (0, 0, "committed")
    assert "Latest receipt: committed." in rows.client().get("/link").text
    assert "committed; transaction 1.2.3" in rows.client().get("/studies/1.2").text
