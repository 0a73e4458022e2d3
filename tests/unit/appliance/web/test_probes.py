"""Liveness and readiness, for programs and for people who type the address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from appliance.disk.tables import disk_room
from appliance.schema import devices, processes
from appliance.web.box import take_surroundings
from appliance.web.probes import NEEDED
from store_forward.database import writing
from store_forward.outbox import record_contact
from tests.unit.appliance.web.rows import NOW, Rows


def beat(rows: Rows, *names: str) -> None:
    """These processes report now."""
    for name in names:
        rows.put(processes, name=name, pid=1, state="running", started_at=NOW, beat_at=NOW)


def at_work(rows: Rows) -> TestClient:
    """A box with all it needs."""
    beat(rows, *NEEDED)
    for pack in take_surroundings(rows.settings, rows.spool).packs:
        rows.put(devices, pack_digest=pack.digest, device="openvino:CPU", pack=pack.name, latency_ms=3.0, chosen=True,
                 measured_at=NOW)  # fmt: skip
    return rows.client()


def checks(answer: Any) -> dict[str, tuple[bool | None, bool]]:
    """Name → ok, required."""
    return {one["name"]: (one["ok"], one["required"]) for one in answer.json()["checks"]}


def test_health_follows_the_processes(rows: Rows) -> None:
    """A silent process is not healthy, whatever state it left behind."""
    beat(rows, "triage")
    client = rows.client()
    assert (client.get("/healthz").status_code, client.get("/healthz").json()["status"]) == (200, "ok")
    rows.now = NOW + 100
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["status"], answer.json()["silent"]) == (503, "degraded", ["triage"])
    assert checks(answer) == {
        "database": (True, True), "configuration": (True, False), "triage": (False, True),
    }  # fmt: skip


def test_a_box_is_ready_when_all_it_needs_is_there(rows: Rows) -> None:
    """With a line for each; a link that is down is told and does not count."""
    client = at_work(rows)
    with writing(rows.engine) as conn:
        record_contact(conn, "cloud", "cloud", "down", "", NOW)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready"), answer.text
    found = checks(answer)
    assert {"database", "disk_room", "packs", "clock", "spool", *NEEDED} <= set(found)
    assert found["link_cloud"] == (False, False)
    assert found["link_pacs-main"] == (None, False)


def test_a_box_that_has_just_started_is_not_ready(rows: Rows) -> None:
    """Neither processes nor packs are there; it is alive all the same."""
    beat(rows, "web")
    client = rows.client()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not_ready")
    assert {name for name, (ok, required) in checks(answer).items() if required and not ok} == {
        "receiver", "triage", "uplink", "packs",
    }  # fmt: skip
    assert client.get("/healthz").status_code == 200


def test_a_full_disk_is_not_ready(rows: Rows, tmp_path: Path) -> None:
    """Senders should go elsewhere."""
    free = rows.spool.free_bytes()
    rows.configure(tmp_path, limits={"free_disk_floor_bytes": round(free * 0.95), "free_disk_warn_bytes": 4 * free})
    rows.put(disk_room, name="spool", room="full", since=NOW, free_bytes=1)
    answer = at_work(rows).get("/readyz")
    assert answer.status_code == 503
    assert checks(answer)["disk_room"] == (False, True)


def test_who_asks_for_text_gets_lines(rows: Rows) -> None:
    """A mark, a name and words; the verdict last."""
    answer = at_work(rows).get("/readyz", headers={"accept": "text/plain"})
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain")
    assert "[+] database: can be read" in lines
    assert "[?] link_pacs-main (told only): unknown, 0 waiting, 0 parked" in lines
    assert lines[-1] == "ready"


def test_a_database_that_cannot_be_read_fails_both(rows: Rows) -> None:
    """In the same form."""
    with rows.engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE processes")
    client = rows.client()
    for path, state in (("/healthz", "failed"), ("/readyz", "not_ready")):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (503, state)
        assert checks(answer) == {"database": (False, True)}
