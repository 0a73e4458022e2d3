"""What people ask for: to read again, to escalate, to send again; each kept in the history with who did it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from appliance.labels import CannotLabel, all_latest, keep_label, latest_labels
from appliance.schema import findings, heat_map_layers, study_events
from appliance.triage.by_person import NotNow, escalate_now, rerun, resend
from appliance.triage.person_tables import asked_escalations
from store_forward.database import reading, writing
from store_forward.outbox import delivered, deliveries, lease
from tests.small_box import NOW, SmallBox, image
from tests.unit.appliance.triage.test_worker import read_all

ReadingBox = Callable[..., SmallBox]


def told(box: SmallBox, study: str) -> list[tuple[str, str]]:
    """The study's history."""
    query = select(study_events.c.kind, study_events.c.detail).where(study_events.c.study_instance_uid == study)
    with reading(box.engine) as connection:
        return [(row.kind, row.detail) for row in connection.execute(query.order_by(study_events.c.id))]


def deliver_all(box: SmallBox) -> None:
    """Every delivery gets a receipt."""
    with writing(box.engine) as connection:
        for name in {row.destination for row in connection.execute(select(deliveries))}:
            while (taken := lease(connection, name, "test", NOW, 60)) is not None:
                delivered(connection, taken, "stored", NOW)


def test_a_study_that_is_read_again_keeps_what_was_decided_before(reading_box: ReadingBox) -> None:
    """A new revision with results of its own, under other UIDs; the earlier decision stays in history and findings."""
    box = reading_box()
    study = box.receive(image("urgent"))
    read_all(box)
    before = box.study(study)
    with writing(box.engine) as connection:
        rerun(connection, box.spool, study, "Ada", NOW)
    read_all(box)
    after = box.study(study)
    assert (before.revision, after.revision, after.state) == (1, 2, "decided")
    assert before.images_digest != after.images_digest
    assert {row.revision for row in box.rows(findings)} == {1, 2}
    kinds = told(box, study)
    assert ("rerun", "Ada") in kinds
    assert ("read_again", "Ada asked for it; before it was urgent") in kinds
    assert [detail for kind, detail in kinds if kind == "decided"] == ["urgent", "urgent"]
    assert {row.revision for row in box.rows(deliveries)} == {1, 2}
    assert len(box.rows(heat_map_layers)) == 1


def test_what_is_being_read_is_not_read_again(reading_box: ReadingBox) -> None:
    """It says why, and changes nothing."""
    box = reading_box()
    study = box.receive(image("urgent"))
    with pytest.raises(NotNow, match="under_way"), writing(box.engine) as connection:
        rerun(connection, box.spool, study, "Ada", NOW)
    assert "rerun" not in dict(told(box, study))


def test_a_settled_study_is_escalated_by_a_person(reading_box: ReadingBox) -> None:
    """The worker makes the archive; it goes before all else, and the study waits for the answer."""
    box = reading_box()
    study = box.receive(image("routine"))
    read_all(box)
    assert not [row for row in box.rows(deliveries) if row.kind == "escalation"]
    with writing(box.engine) as connection:
        escalate_now(connection, study, True, "Ada", NOW)
    with pytest.raises(NotNow, match="asked_already"), writing(box.engine) as connection:
        escalate_now(connection, study, True, "Ada", NOW)
    read_all(box)
    (sent,) = [row for row in box.rows(deliveries) if row.kind == "escalation"]
    assert (sent.priority, sent.destination, sent.revision) == (0, "cloud", 1)
    row = box.study(study)
    assert (row.decision, row.escalated, row.state) == ("routine", True, "decided")
    assert ("escalated_by_person", "Ada") in told(box, study)
    deliver_all(box)
    with pytest.raises(NotNow), writing(box.engine) as connection:
        escalate_now(connection, study, True, "Ada", NOW)


def test_without_a_cloud_nothing_is_escalated(reading_box: ReadingBox) -> None:
    """The person is told what to set."""
    box = reading_box()
    study = box.receive(image("routine"))
    read_all(box)
    with pytest.raises(NotNow, match="no_cloud"), writing(box.engine) as connection:
        escalate_now(connection, study, False, "Ada", NOW)


def test_what_waits_is_hastened(reading_box: ReadingBox) -> None:
    """An escalation that is queued at its own priority goes first from now on."""
    box = reading_box()
    study = box.receive(image("escalate"))
    read_all(box)
    with writing(box.engine) as connection:
        escalate_now(connection, study, True, "Ada", NOW)
    (sent,) = [row for row in box.rows(deliveries) if row.kind == "escalation"]
    assert (sent.priority, sent.state) == (0, "waiting")


def test_results_are_sent_again(reading_box: ReadingBox) -> None:
    """Each result that was delivered goes once more, and the study is not settled before it is there."""
    box = reading_box()
    study = box.receive(image("urgent"))
    read_all(box)
    first = [row for row in box.rows(deliveries) if row.destination == "archive"]
    deliver_all(box)
    with writing(box.engine) as connection:
        assert resend(connection, box.spool, study, "archive", "Ada", NOW) == len(first)
    rows = [row for row in box.rows(deliveries) if row.destination == "archive"]
    assert [row.payload for row in rows] == [row.payload for row in first] * 2
    assert {row.state for row in rows[len(first) :]} == {"waiting"}
    assert box.study(study).state == "decided"
    with pytest.raises(NotNow, match="nothing_to_send"), writing(box.engine) as connection:
        resend(connection, box.spool, study, "elsewhere", "Ada", NOW)


def test_the_latest_label_counts_and_the_others_stay(reading_box: ReadingBox) -> None:
    """With who said it, and with the pack and the revision it is about."""
    box = reading_box()
    study = box.receive(image("urgent"))
    with pytest.raises(CannotLabel), writing(box.engine) as connection:
        keep_label(connection, study, "urgent", "", "Ada", NOW)
    read_all(box)
    with writing(box.engine) as connection:
        first = keep_label(connection, study, "urgent", "", "Ada", NOW)
        second = keep_label(connection, study, "routine", "", "Grace", NOW + 1)
    assert (first.confirms, second.corrects, second.word, second.revision) == (True, True, "normal", 1)
    assert second.pack_digest == box.study(study).pack_digest
    with pytest.raises(CannotLabel), writing(box.engine) as connection:
        keep_label(connection, study, "urgent", "no such finding", "Ada", NOW)
    with reading(box.engine) as connection:
        assert latest_labels(connection, [study, "1.2"]) == {study: second}
        assert list(all_latest(connection)) == [second]
    assert [detail for kind, detail in told(box, study) if kind == "labelled"] == [
        "Ada: urgent; as the box says",
        "Grace: routine; not as the box says",
    ]


def test_what_ends_the_worker_is_not_tried_for_ever(reading_box: ReadingBox) -> None:
    """The attempt is counted before a file is opened; given up, the study stays as it was and the history says why."""
    box = reading_box()
    study = box.receive(image("routine"))
    read_all(box)
    before = box.study(study)
    with writing(box.engine) as connection:
        escalate_now(connection, study, True, "Ada", NOW)
        most = box.settings.limits.triage_attempts
        connection.execute(asked_escalations.update().values(attempts=most))
    read_all(box)
    assert box.study(study) == before
    assert any(kind == "not_sent" and "ended the worker" in detail for kind, detail in told(box, study))
