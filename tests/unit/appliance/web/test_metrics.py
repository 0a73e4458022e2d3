"""The metrics as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from appliance.disk.days import count_received
from appliance.schema import devices, processes, set_aside, study_events
from appliance.web.box import take_surroundings
from appliance.web.metric_words import METRICS
from store_forward.database import writing
from store_forward.outbox import record_contact
from tests.unit.appliance.web.rows import NOW, Rows


def full(rows: Rows) -> None:
    """Something of everything."""
    rows.study("1", "urgent")
    rows.study("2")
    for detail in ("urgent", "escalate: partly_covered", "urgent"):
        rows.put(study_events, study_instance_uid="1", at=NOW, kind="decided", detail=detail)
    rows.delivery("1", "report", "pacs-main", "parked")
    rows.delivery("2", "escalation", "cloud", "deferred")
    rows.put(set_aside, file_digest="b" * 64, reason="cannot_understand", source="x", received_at=NOW)
    rows.put(processes, name="triage", pid=1, state="running", started_at=NOW, beat_at=NOW, restarts=2)
    pack = take_surroundings(rows.settings, rows.spool).packs[0]
    rows.put(devices, pack_digest=pack.digest, device="openvino:CPU", pack=pack.name, latency_ms=4.0, chosen=True,
             measured_at=NOW)  # fmt: skip
    with writing(rows.engine) as conn:
        record_contact(conn, "cloud", "cloud", "up", "", NOW)
        count_received(conn, NOW, 500)


def scraped(rows: Rows) -> dict[str, Family]:
    """Every family by its name."""
    answer = rows.client().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {one.name: one for one in text_string_to_metric_families(answer.text)}


def samples(found: dict[str, Family], name: str) -> dict[tuple[str, ...], float]:
    """The samples of one family by their labels' values."""
    return {tuple(one.labels.values()): one.value for one in found[name].samples}


def test_what_the_rows_say(rows: Rows) -> None:
    """Counters, gauges and their labels."""
    full(rows)
    found = scraped(rows)
    assert samples(found, "scanside_studies") == {("decided",): 1, ("receiving",): 1}
    assert samples(found, "scanside_decisions") == {("urgent",): 2, ("escalate",): 1}
    assert samples(found, "scanside_deliveries")["pacs-main", "parked"] == 1
    assert samples(found, "scanside_link_up") == {("cloud",): 1}
    assert samples(found, "scanside_received_bytes") == {(): 500}
    assert samples(found, "scanside_set_aside") == {(): 1}
    assert samples(found, "scanside_process_restarts") == {("triage",): 2}
    assert list(samples(found, "scanside_pack_latency_seconds").values()) == [0.004]
    assert samples(found, "scanside_delivery_transitions")["parked",] == 1


def test_every_family_is_documented_and_has_its_type(rows: Rows) -> None:
    """Names end in their unit, counters in ``_total``; nothing comes that the table does not know."""
    full(rows)
    known = {one.name if one.kind != "info" else f"{one.name}_info": one for one in METRICS}
    for name, family in scraped(rows).items():
        assert name in known
        assert family.type in (known[name].kind, "gauge")
        assert family.documentation == known[name].help
        for one in family.samples:
            assert one.name == name + ("_total" if known[name].kind == "counter" else "")
            assert set(one.labels) == set(known[name].labels) or name == "scanside_build_info"


def test_counters_go_on(rows: Rows) -> None:
    """From scrape to scrape by what is new, and after a restart of the page from all rows again: the same numbers."""
    full(rows)
    client = rows.client()

    def decided(text: str) -> str:
        return next(
            line for line in text.splitlines() if line.startswith('scanside_decisions_total{decision="urgent"}')
        )

    assert decided(client.get("/metrics").text).endswith(" 2.0")
    rows.put(study_events, study_instance_uid="1", at=NOW, kind="decided", detail="urgent")
    assert decided(client.get("/metrics").text).endswith(" 3.0")
    assert decided(rows.client().get("/metrics").text).endswith(" 3.0")


def test_nothing_of_a_patient_is_in_it(rows: Rows) -> None:
    """Monitoring has no use for them."""
    rows.study("1.2.3.4", "urgent", patient_name="DOE^JANE", patient_id="ID-77")
    text = rows.client().get("/metrics").text
    assert not any(private in text for private in ("DOE", "ID-77", "1.2.3.4"))


def test_another_format_for_who_asks_for_it(rows: Rows) -> None:
    """OpenMetrics, as newer Prometheus prefer it."""
    answer = rows.client().get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
