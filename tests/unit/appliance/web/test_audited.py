"""What people do on the page stands in the audit trail, failures included."""

from __future__ import annotations

from appliance.audit.trail import rows as audit_rows
from appliance.people.roles import Role
from store_forward.database import reading
from tests.signed_in import ORIGIN, PASSWORD, put_session, put_user, sign_in
from tests.unit.appliance.web.rows import NOW, Rows


def told(rows: Rows) -> list[tuple[str, str, list[str], int]]:
    """Kind, who, what and outcome of every event."""
    with reading(rows.engine) as conn:
        events = [row.event for row in audit_rows(conn)]
    return [
        (
            (event["event_type"] or event["event_id"])[1],
            event["participants"][0]["user_id"],
            [one["identifier"] for one in event["subjects"]],
            event["outcome"],
        )
        for event in events
    ]


def test_who_looks_at_a_study_is_noted_once_a_look(rows: Rows) -> None:
    """Not for every time that the open page fetches itself anew, and not for a study that is not here."""
    rows.study("1.2", "urgent", patient_id="P-7")
    put_user(rows.engine, "anna", Role.VIEWER)
    before = len(told(rows))
    client = sign_in(rows.client(), put_session(rows.engine, "anna", NOW))
    assert client.get("/studies/1.2").status_code == 200
    assert client.get("/fragments/studies/1.2").status_code == 200
    assert client.get("/studies/9.9").status_code == 404
    assert client.get("/api/v1/studies/1.2").status_code == 200
    assert told(rows)[before:] == [("DICOM Instances Accessed", "anna", ["1.2", "P-7"], 0)] * 2


def test_a_search_is_noted_when_its_page_is_opened(rows: Rows) -> None:
    """Once for its pages, however long the first is open; a list without words is no search."""
    rows.study("1.2", "urgent", patient_name="Doe^Jane")
    put_user(rows.engine, "anna", Role.VIEWER)
    before = len(told(rows))
    client = sign_in(rows.client(), put_session(rows.engine, "anna", NOW))
    for address in ("/?search=doe", "/fragments/?search=doe", "/?search=doe&last=1", "/?show=urgent", "/"):
        assert client.get(address).status_code == 200
    assert told(rows)[before:] == [("Query", "anna", [], 0)]


def test_signing_in_out_and_failing_to(rows: Rows) -> None:
    """Also under a name that nobody has, which is not kept: people type passwords there."""
    put_user(rows.engine, "anna", Role.VIEWER)
    before = len(told(rows))
    client = rows.client()
    for name, password in (("anna", "wrong wrong wrong"), ("nobody", "x"), ("anna", PASSWORD)):
        client.post("/sign-in", data={"name": name, "password": password}, headers=ORIGIN, follow_redirects=False)
    assert told(rows)[before:] == [
        ("Login", "anna", [], 4),
        ("Login", "unknown", [], 4),
        ("Login", "anna", [], 0),
    ]
