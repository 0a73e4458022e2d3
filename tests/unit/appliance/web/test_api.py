"""The API over ASGI, in process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from appliance.schema import messages, study_events
from appliance.web.api import asking, delivery_pages, studies
from appliance.web.api.answers import Status
from tests.unit.appliance.web.rows import NOW, Rows

HERE = {"origin": "http://127.0.0.1:8080"}


def problem(answer: Any, status: int) -> dict[str, Any]:
    """The problem document that a request got, which must have this status."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert found["title"]
    assert found["repair"]
    return found


def walked(client: TestClient, path: str, key: str, **asked: Any) -> list[dict[str, Any]]:
    """Everything of a list, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        answer = client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert len(body[key]) <= asked.get("limit", 50)
        found += body[key]
        if body["next_cursor"] is None:
            return found
        asked["cursor"] = body["next_cursor"]


def test_the_status_is_what_its_description_says(rows: Rows) -> None:
    """Every field of the typed answer is there, and no other."""
    rows.study("1", "urgent")
    rows.study("2")
    rows.finding("1", "pneumonia", 0.9)
    rows.delivery("1", "report", "pacs-main", "parked")
    found = rows.client().get("/api/status").json()
    assert Status.model_validate(found).model_dump(mode="json") == found


def test_studies_come_page_by_page_each_once(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of one moment, with a filter that few pass, and with a small bound on what a page looks at."""
    for number in range(25):
        rows.study(f"{number:02}", "urgent" if number % 5 == 0 else "routine", ago_s=float(number // 3))
    client, every = rows.client(), [f"{number:02}" for number in range(25)]
    found = walked(client, "/api/v1/studies", "studies", limit=4)
    assert sorted(one["study_instance_uid"] for one in found) == every
    assert [one["last_received_at"] for one in found] == sorted(
        (one["last_received_at"] for one in found), reverse=True
    )
    monkeypatch.setattr(studies, "MOST_LOOKED_AT", 3)
    urgent = walked(client, "/api/v1/studies", "studies", limit=4, standing="urgent")
    assert sorted(one["study_instance_uid"] for one in urgent) == every[::5]
    recent = walked(client, "/api/v1/studies", "studies", received_after=NOW - 1.5)
    assert sorted(one["study_instance_uid"] for one in recent) == every[:6]


def test_patients_are_only_for_who_may_see_them(rows: Rows, tmp_path: Path) -> None:
    """In the list and in the study."""
    rows.study("1", "urgent", patient_name="DOE^JANE", patient_id="ID-77", accession_number="ACC-9")
    assert rows.client().get("/api/v1/studies").json()["studies"][0]["patient"]["patient_id"] == "ID-77"
    rows.configure(tmp_path, page={"show_patient": False})
    for path in ("/api/v1/studies", "/api/v1/studies/1", "/api/status"):
        text = rows.client().get(path).text
        assert not any(private in text for private in ("DOE", "ID-77", "ACC-9"))


def test_a_study_is_told_whole(rows: Rows) -> None:
    """Findings, deliveries and timeline; a UID may hold anything."""
    rows.study("a/b 1?", "urgent", pack="p", pack_version="1", pack_digest="a" * 64)
    rows.finding("a/b 1?", "pneumonia", 0.93)
    rows.delivery("a/b 1?", "report", "pacs-main", "parked")
    rows.put(study_events, study_instance_uid="a/b 1?", at=NOW, kind="decided", detail="urgent")
    found = rows.client().get("/api/v1/studies/a%2Fb%201%3F").json()
    assert (found["findings"][0]["probability"], found["deliveries"][0]["state"]) == (0.93, "parked")
    assert {one["what"] for one in found["timeline"]} >= {"decided", "parked"}
    assert problem(rows.client().get("/api/v1/studies/9"), 404)["repair"] == "Look it up in /api/v1/studies."


def test_deliveries_come_page_by_page_each_once(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several destinations and states, all made at one moment."""
    made = {
        rows.delivery(str(number), "report", ("pacs-main", "cloud")[number % 2], ("parked", "deferred")[number % 3 > 0])
        for number in range(20)
    }
    client = rows.client()
    found = walked(client, "/api/v1/outbox/deliveries", "deliveries", limit=3)
    assert [one["id"] for one in found] == sorted(made)
    monkeypatch.setattr(delivery_pages, "MOST_LOOKED_AT", 4)
    parked = walked(client, "/api/v1/outbox/deliveries", "deliveries", limit=3, cause="pacs_refused_object")
    assert len(parked) == 7
    lanes = client.get("/api/v1/outbox/lanes").json()["lanes"]
    assert sum(one["parked"] for one in lanes) == 7
    whole = client.get(f"/api/v1/outbox/deliveries/{parked[0]['id']}").json()
    assert [one["state_to"] for one in whole["events"]] == ["waiting", "leased", "parked"]


def test_an_export_says_where_it_goes_on(rows: Rows) -> None:
    """JSON lines, and the next page in a header that any client can follow."""
    for number in range(5):
        rows.delivery(str(number), "report", "pacs-main")
    client, path, lines = rows.client(), "/api/v1/outbox/export?limit=2", []
    while True:
        answer = client.get(path)
        lines += answer.text.splitlines()
        if "next" not in answer.links:
            break
        path = f"/api/v1/outbox/export{answer.links['next']['url']}&limit=2"
    assert len(lines) == len(set(lines)) == 5


def test_deliveries_are_retried_and_set_aside(rows: Rows) -> None:
    """As the command does it; nobody moves all of them by leaving something out."""
    number = rows.delivery("1", "report", "pacs-main", "parked")
    rows.delivery("2", "report", "pacs-main", "delivered")
    client = rows.client()
    assert client.post("/api/v1/outbox/retry", json={"ids": [number]}).json() == {"moved": 1, "left": 0}
    assert client.post("/api/v1/outbox/park", json={"destination": "pacs-main"}).json() == {"moved": 1, "left": 1}
    assert client.post("/api/v1/outbox/retry", json={"all": True}, headers=HERE).json() == {"moved": 1, "left": 1}
    assert "say which" in problem(client.post("/api/v1/outbox/retry", json={}), 422)["detail"]
    assert "say which" in problem(client.post("/api/v1/outbox/park", json={"all": True, "ids": [1]}), 422)["detail"]
    assert "delivery 99" in problem(client.post("/api/v1/outbox/park", json={"ids": [number, 99]}), 404)["detail"]
    problem(client.post("/api/v1/outbox/park", json={"destination": "elsewhere"}), 404)
    problem(client.post("/api/v1/outbox/retry", content=b"{"), 422)


def test_another_web_site_changes_nothing(rows: Rows) -> None:
    """A browser on the box may be led to send a form here."""
    number = rows.delivery("1", "report", "pacs-main", "parked")
    foreign = {"origin": "http://elsewhere.example"}
    answer = rows.client().post("/api/v1/outbox/retry", json={"ids": [number]}, headers=foreign)
    assert "sent from the status page itself" in problem(answer, 403)["detail"]
    assert rows.client().get(f"/api/v1/outbox/deliveries/{number}").json()["state"] == "parked"


def test_a_notice_is_acknowledged_once(rows: Rows) -> None:
    """It is then gone from the list; one that is not there is said to be so."""
    rows.put(messages, seq=3, kind="notice", body={"level": "info", "text": "Hello"}, sent_at=NOW, received_at=NOW,
             outcome="shown")  # fmt: skip
    client = rows.client()
    assert [one["message"] for one in client.get("/api/v1/notices").json()["notices"] if one["message"]] == [3]
    assert client.post("/api/v1/notices/3/acknowledge").json() == {"message": 3}
    assert not [one for one in client.get("/api/v1/notices").json()["notices"] if one["message"]]
    problem(client.post("/api/v1/notices/4/acknowledge"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "studies?limit=0", "studies?limit=201", "studies?cursor=x", "studies?standing=bad", "studies?state=x",
        "studies?received_after=nan", "outbox/deliveries/0", "outbox/deliveries/99999999999999999999",
        "studies?cursor=W251bGwsMV0",
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(rows: Rows, path: str) -> None:
    """With the part that is wrong."""
    problem(rows.client().get(f"/api/v1/{path}"), 422)


def test_every_failure_is_a_problem_document(rows: Rows) -> None:
    """Also a wrong path, a wrong method and a database that cannot be read."""
    client = rows.client()
    problem(client.get("/api/v1/nothing"), 404)
    assert problem(client.delete("/api/v1/studies"), 405)
    with rows.engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE processes")
    assert client.get("/api/v1/processes").headers["retry-after"] == "5"
    problem(client.get("/api/status"), 503)


def test_a_cursor_leads_back_to_its_place() -> None:
    """Whatever the name in it."""
    for place in ((1.5, "1.2.3"), (0.0, "ä/?\U0001f600")):
        assert asking.place_of(asking.cursor_of(place)) == place
    assert asking.place_of(None) is None


def test_the_description_names_every_resource(rows: Rows) -> None:
    """With problem documents beside every answer."""
    description = rows.client().get("/api/openapi.json").json()
    assert {"/status", "/v1/studies", "/v1/outbox/retry", "/v1/notices/{message}/acknowledge"} <= set(
        description["paths"]
    )
    for resource in description["paths"].values():
        for one in resource.values():
            assert one["summary"]
            assert one["description"]
            assert "application/problem+json" in one["responses"]["503"]["content"]
    assert "Problem" in description["components"]["schemas"]
    assert "HTTPValidationError" not in description["components"]["schemas"]
