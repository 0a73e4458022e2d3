"""One study in full."""

from __future__ import annotations

from typing import Any

from appliance.schema import instances, study_events
from appliance.web.study import MOST_EVENTS, StudyView, refers_to, study_view
from store_forward.database import reading
from tests.unit.appliance.web.rows import NOW, Rows


def read(rows: Rows, uid: str = "1") -> StudyView | None:
    """The view of one study."""
    with reading(rows.engine) as conn:
        return study_view(conn, uid, True)


def test_an_unknown_study_is_none(rows: Rows) -> None:
    """Nothing is made up."""
    assert read(rows) is None


def test_both_readers_are_named(rows: Rows) -> None:
    """Pack, version and digest of box and cloud."""
    rows.study("1", "escalate", pack="p", pack_version="1", pack_digest="a", device="openvino:CPU", latency_ms=4.0)
    view = read(rows)
    assert view is not None
    assert view.box is not None
    assert (view.box.pack, view.box.device, view.cloud) == ("p", "openvino:CPU", None)
    rows.change("1", answer_pack="q", answer_pack_version="2", answer_pack_digest="b", answered_at=NOW)
    view = read(rows)
    assert view is not None
    assert view.cloud is not None
    assert (view.cloud.pack, view.cloud.version, view.cloud.at) == ("q", "2", NOW)


def test_the_history_mixes_study_and_deliveries_by_time(rows: Rows) -> None:
    """One line of time, whoever wrote the event."""
    rows.study("1", "urgent")
    rows.study("2", "urgent")
    rows.put(study_events, study_instance_uid="1", at=NOW - 5, kind="decided", detail="urgent")
    rows.put(study_events, study_instance_uid="1", at=NOW + 9, kind="settled")
    rows.delivery("1", "report", "pacs-main", "parked")
    rows.delivery("2", "report", "pacs-main", "delivered")
    view = read(rows)
    assert view is not None
    assert [(one.what, one.delivery) for one in view.timeline] == [
        ("decided", ""),
        ("waiting", "report to pacs-main"),
        ("leased", "report to pacs-main"),
        ("parked", "report to pacs-main"),
        ("settled", ""),
    ]
    assert view.timeline[3].detail == "0xA900 <i>no such class</i>"
    assert not view.timeline_full


def test_a_long_history_keeps_its_end(rows: Rows) -> None:
    """The page stays bounded, and says that it left something out."""
    rows.study("1", "urgent")
    for number in range(MOST_EVENTS + 2):
        rows.put(study_events, study_instance_uid="1", at=NOW + number, kind="complete", detail=str(number))
    view = read(rows)
    assert view is not None
    assert view.timeline_full
    assert (len(view.timeline), view.timeline[-1].detail) == (MOST_EVENTS, str(MOST_EVENTS + 1))


def test_instances_and_findings_per_image(rows: Rows) -> None:
    """Findings of the present revision with their image; instances as received."""
    rows.study("1", "urgent", revision=2)
    rows.finding("1", "pneumonia", 0.9, revision=1)
    rows.finding("1", "pneumonia", 0.8, revision=2)
    common = {"study_instance_uid": "1", "series_instance_uid": "1.1", "sop_class_uid": "1.2", "source": "SCANNER"}
    rows.put(instances, sop_instance_uid="1.2.9", transfer_syntax_uid="1.2.840.10008.1.2", file_digest="0" * 64,
             size_bytes=5, received_at=NOW, **common)  # fmt: skip
    view = read(rows)
    assert view is not None
    assert [(one.sop_instance_uid, one.probability) for one in view.image_findings] == [("1.2.9", 0.8)]
    assert [(one.sop_instance_uid, one.size_bytes) for one in view.instances] == [("1.2.9", 5)]


def test_a_study_refers_to_its_own_pictures_only(rows: Rows) -> None:
    """The spool holds more than pictures; nothing else may leave through the page."""
    rows.study("1", "urgent", thumbnail="a" * 64, heat_map="b" * 64)
    rows.study("2", "urgent")
    with reading(rows.engine) as conn:
        assert refers_to(conn, "1", "a" * 64)
        assert refers_to(conn, "1", "b" * 64)
        assert not refers_to(conn, "1", "c" * 64)
        assert not refers_to(conn, "2", "a" * 64)
        assert not refers_to(conn, "3", "a" * 64)


def test_the_lines_a_decision_was_made_with_are_shown(rows: Rows) -> None:
    """Whose they are, and that the pack's bound is not about others; nothing where none were noted."""
    own: dict[str, Any] = {
        "pack": "p",
        "pack_version": "1",
        "pack_digest": "a" * 64,
        "routine_below": 0.1,
        "urgent_from": 0.9,
    }
    rows.study("1", "urgent", lines_set_by="", **own)
    rows.study("2", "urgent", lines_set_by="message 7 of the cloud", **own)
    rows.study("3", "urgent", pack="p")
    shown = [rows.client().get(f"/studies/{uid}").text for uid in ("1", "2", "3")]
    assert "routine below 0.1, urgent from 0.9 (the pack&#39;s own)" in shown[0]
    assert "(set by message 7 of the cloud; the pack&#39;s bound is not about them)" in shown[1]
    assert "routine below" not in shown[2]
