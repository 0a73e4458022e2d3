"""Every decision and every answer makes its events in the transaction of the other deliveries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import pytest
from sqlalchemy import insert

from appliance.privacy.deidentify import pseudonymous_uid
from appliance.privacy.package import site_key
from appliance.schema import StudyState, answers
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import deliveries
from store_forward.protocol import Answer
from tests.small_box import NOW, SmallBox, image
from tests.tiny_pack import Says

ReadingBox = Callable[..., SmallBox]
PAGER = {"name": "pager", "url": "https://pager.example/hook", "secret_variable": "PAGER"}
RECORD = {**PAGER, "name": "record", "study": "uid", "events": ["study.amended"]}


@pytest.fixture
def telling(reading_box: ReadingBox) -> SmallBox:
    """A box that tells one webhook everything, and another only of answers, by UID."""
    return reading_box(webhook=[PAGER, RECORD])


def events(box: SmallBox, destination: str = "pager") -> list[tuple[Any, dict[str, Any]]]:
    """Each event delivery to a webhook with its body."""
    rows = [row for row in box.rows(deliveries) if row.destination == destination]
    return [(row, json.loads(box.spool.file(row.payload).read_bytes())) for row in rows]


def answer(box: SmallBox, decision: Literal["routine", "urgent"]) -> None:
    """The cloud's answer to the latest escalation, as the uplink stores it."""
    case = [row for row in box.rows(deliveries) if row.kind == "escalation"][-1].payload
    said = Answer(seq=1, case=case, decision=decision, answered_at=NOW + 60)
    row = {"seq": 1, "payload": case, "body": said.model_dump_json(), "received_at": NOW + 61}
    with writing(box.engine) as connection:
        connection.execute(insert(answers).values(**row))


@pytest.mark.parametrize(
    ("says", "priority", "standing"),
    [("urgent", 0, "final"), ("routine", 2, "final"), ("escalate", 2, "provisional")],
)
def test_a_decision_is_told(telling: SmallBox, says: Says, priority: int, standing: str) -> None:
    """With the priority of the other results, under the study's pseudonym, the one the cloud knows it by."""
    study = telling.receive(image(says))
    assert telling.worker().step(NOW)
    ((row, body),) = events(telling)
    assert (row.kind, row.priority, row.content_type) == ("event_decided", priority, "application/json")
    assert (body["type"], body["data"]["decision"], body["data"]["standing"]) == ("study.decided", says, standing)
    assert row.attributes["event_id"] == body["data"]["event_id"]
    key = site_key(telling.home.site_key_path, telling.spool.seal)
    assert body["data"]["study"] == pseudonymous_uid(study, key)
    assert study not in json.dumps(body)
    assert "Phantom" not in json.dumps(body)
    assert events(telling, "record") == []


def test_an_answer_is_told(telling: SmallBox) -> None:
    """To both, each in the words it may have; urgent, because the full model says so."""
    study = telling.receive(image("escalate"))
    worker = telling.worker()
    worker.step(NOW)
    answer(telling, "urgent")
    assert worker.step(NOW + 62)
    (first, _), (second, amended) = events(telling)
    ((_, record),) = events(telling, "record")
    assert (second.kind, second.priority) == ("event_amended", 0)
    assert (amended["data"]["decision"], amended["data"]["answer"]["decision"]) == ("escalate", "urgent")
    assert (record["data"]["study"], record["data"]["study_is"]) == (study, "uid")
    assert record["data"]["event_id"] == amended["data"]["event_id"] != first.attributes["event_id"]


def test_an_answer_is_told_without_an_archive(reading_box: ReadingBox) -> None:
    """No report is made, the event is."""
    box = reading_box(pacs=[], webhook=[PAGER])
    box.receive(image("escalate"))
    worker = box.worker()
    worker.step(NOW)
    answer(box, "routine")
    worker.step(NOW + 62)
    assert [row.kind for row, _ in events(box)] == ["event_decided", "event_amended"]


def test_a_study_that_nothing_can_read_is_told_too(telling: SmallBox) -> None:
    """With the reason; not as if it were well."""
    telling.receive(image(Modality="US"))
    telling.worker().step(NOW)
    ((_, body),) = events(telling)
    assert (body["data"]["decision"], body["data"]["reason"]) == ("not_triaged", "wrong_modality")


def test_a_new_revision_is_a_new_event(telling: SmallBox) -> None:
    """A late image: another id, and a higher revision by which a receiver knows the later word."""
    study = telling.receive(image("urgent"))
    worker = telling.worker()
    worker.step(NOW)
    telling.receive(image("urgent", seed="late", StudyInstanceUID=study), now=NOW + 100)
    worker.step(NOW + 100)
    (first, one), (second, two) = events(telling)
    assert first.attributes["event_id"] != second.attributes["event_id"]
    assert (one["data"]["revision"], two["data"]["revision"]) == (1, 2)


def test_a_study_settles_when_the_webhook_has_it(reading_box: ReadingBox) -> None:
    """Like every other destination: nothing is deleted before."""
    box = reading_box(pacs=[], webhook=[PAGER])
    study = box.receive(image("urgent"))
    box.worker().step(NOW)
    assert box.study(study).state == StudyState.DECIDED
    with writing(box.engine) as connection:
        leased = outbox.lease(connection, "pager", "test", NOW, 60)
    assert leased is not None
    assert leased.subject == study
