"""Features up a thin link: in place of the image or ahead of it, and the image after all when they say nothing."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import numpy as np
import pytest
from sqlalchemy import insert

from appliance.results.report_content import PROVISIONAL
from appliance.schema import StudyState, answers, findings, instances, study_events
from appliance.web.agreement import agreement_view
from appliance.web.standing import Confirmation
from appliance.web.worklist import study_rows
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.features import FEATURES_TYPE, parse_features
from store_forward.outbox import deliveries
from store_forward.protocol import Answer, AnswerFinding
from tests.dicom_factory import chest_radiograph, read_back
from tests.small_box import NOW, SmallBox, image
from tests.tiny_pack import write_tiny_pack

Decided = Literal["routine", "urgent", "escalate", "not_triaged"]
ReadingBox = Callable[..., SmallBox]
BULK = 3


class Thin:
    """A box that sends features, with one escalated study, and a cloud that answers what a test says."""

    def __init__(self, box: SmallBox) -> None:
        self.box = box
        self.study = box.receive(image("escalate"))
        self.worker = box.worker()
        assert self.worker.step(NOW)

    def sent(self, kind: str) -> list[Any]:
        """The deliveries of one kind."""
        return [row for row in self.box.rows(deliveries) if row.kind == kind]

    @property
    def row(self) -> Any:
        """The study's row."""
        return self.box.study(self.study)

    @property
    def confirmation(self) -> Confirmation | None:
        """What the page says of it."""
        with reading(self.box.engine) as connection:
            return study_rows(connection, [self.study], True)[self.study].confirmation

    def answered(self, kind: str, decision: Decided, seq: int = 1, probability: float = 0.95, **fields: Any) -> None:
        """The cloud's answer to the latest delivery of this kind comes down and is applied."""
        found = [AnswerFinding(name="bright_above", probability=probability)] if decision != "not_triaged" else []
        answer = Answer(
            seq=seq,
            case=self.sent(kind)[-1].payload,
            answered_at=NOW + seq,
            decision=decision,
            findings=found,
            **fields,
        )
        row = {"seq": seq, "payload": answer.case, "body": answer.model_dump_json(), "received_at": NOW + seq}
        with writing(self.box.engine) as connection:
            connection.execute(insert(answers).values(**row))
        assert self.worker.step(NOW + seq)

    def deliver_all(self) -> None:
        """Everything in the outbox is delivered."""
        with writing(self.box.engine) as connection:
            for destination in ("cloud", "archive"):
                while leased := outbox.lease(connection, destination, "test", NOW + 50, 60):
                    outbox.delivered(connection, leased, "ok", NOW + 50)

    def events(self, kind: str) -> list[str]:
        """The details of the events of one kind."""
        return [row.detail for row in self.box.rows(study_events) if row.kind == kind]


def sentences(site: Thin, payload: str) -> list[str]:
    """The sentences of a report."""
    report = read_back(site.box.spool.file(payload))
    return [str(item.TextValue) for item in report.ContentSequence if "TextValue" in item]


@pytest.fixture
def thin(reading_box: ReadingBox, tmp_path: Path) -> Callable[[str], Thin]:
    """Makes a box of one mode whose pack has a head."""
    write_tiny_pack(tmp_path / "headed" / "tiny", headed=True)

    def make(escalate: str, **sections: Any) -> Thin:
        cloud = {"url": "http://127.0.0.1:9", "escalate": escalate}
        return Thin(reading_box(triage={"packs": tmp_path / "headed"}, cloud=cloud, **sections))

    return make


def test_features_go_alone(thin: Callable[[str], Thin]) -> None:
    """A few kilobytes under the study's pseudonyms, as urgent as the image would have been; no image is queued."""
    site = thin("features")
    (asked,) = site.sent("features")
    assert not site.sent("escalation")
    assert asked.content_type == FEATURES_TYPE and asked.priority < BULK
    payload = parse_features(site.box.spool.file(asked.payload).read_bytes())
    assert payload.pack_digest == site.row.pack_digest
    assert len(payload.pictures[0].features) == 64
    assert site.study not in payload.model_dump_json()


def test_an_image_box_sends_images(thin: Callable[[str], Thin]) -> None:
    """A head alone changes nothing: the setting does."""
    site = thin("image")
    assert site.sent("escalation") and not site.sent("features")


def test_a_pack_without_a_head_sends_the_image(reading_box: ReadingBox) -> None:
    """Features can only go where a head can read them."""
    site = Thin(reading_box(cloud={"url": "http://127.0.0.1:9", "escalate": "features"}))
    assert site.sent("escalation") and not site.sent("features")


def test_a_study_that_was_read_in_part_sends_the_image(thin: Callable[[str], Thin]) -> None:
    """Features of some pictures would not stand for the whole."""
    site = thin("features")
    blank = chest_radiograph(seed="blank", pixels=np.zeros((96, 96), np.uint16), StudyInstanceUID=site.study)
    site.box.receive(blank, now=NOW + 1)
    assert site.worker.step(NOW + 1)
    assert (site.row.decision, site.row.revision) == ("escalate", 2)
    assert [row.revision for row in site.sent("features")] == [1]
    assert [row.revision for row in site.sent("escalation")] == [2]


def test_the_answer_from_features_alone_settles(thin: Callable[[str], Thin]) -> None:
    """It is said to be one: in the row, in the history, on the page, in the report; and no agreement is counted."""
    site = thin("features")
    site.answered("features", "urgent")
    assert (site.row.answer_basis, site.row.answer_decision) == ("features", "urgent")
    assert site.events("answered")[0].startswith("cloud, from features alone: urgent")
    (report,) = site.sent("features_report")
    words = sentences(site, report.payload)
    assert "Amended from features alone, without the image: Urgent" in words and PROVISIONAL not in words
    site.deliver_all()
    site.answered("features", "urgent", seq=2)
    with reading(site.box.engine) as connection:
        (tally,) = agreement_view(connection).packs
    assert (tally.agreed, tally.disagreed, tally.from_features) == (0, 0, 1)


def test_features_alone_take_no_urgency_away(thin: Callable[[str], Thin]) -> None:
    """Routine by its features, a study the box was unsure of still waits for a person."""
    site = thin("features")
    site.answered("features", "routine", probability=0.01)
    with reading(site.box.engine) as connection:
        row = study_rows(connection, [site.study], True)[site.study]
    assert row.standing == "escalate"
    assert row.answerer == "Features alone"


def test_the_image_follows_as_bulk_and_its_answer_replaces_the_first(thin: Callable[[str], Thin]) -> None:
    """Provisional until then, not settled, and then only the full model's word counts."""
    site = thin("features_first")
    (asked,), (behind,) = site.sent("features"), site.sent("escalation")
    assert asked.priority < behind.priority == BULK
    site.answered("features", "urgent")
    (first,) = site.sent("features_report")
    assert PROVISIONAL in sentences(site, first.payload)
    site.deliver_all()
    assert site.row.state == StudyState.DECIDED
    site.answered("escalation", "routine", seq=2, probability=0.02)
    assert (site.row.answer_basis, site.row.answer_decision) == ("image", "routine")
    assert [row.probability for row in site.box.rows(findings) if row.source == "cloud"] == [0.02]
    (second,) = site.sent("amended_report")
    assert second.payload != first.payload


def test_features_that_come_after_the_image_change_nothing(thin: Callable[[str], Thin]) -> None:
    """The full model's answer stands."""
    site = thin("features_first")
    site.answered("escalation", "routine", probability=0.02)
    site.answered("features", "urgent", seq=2)
    assert (site.row.answer_basis, site.row.answer_decision) == ("image", "routine")


def test_not_understood_sends_the_image(thin: Callable[[str], Thin]) -> None:
    """Nothing is lost: the image goes as urgently as it would have, and the study waits for its answer."""
    site = thin("features")
    site.answered("features", "not_triaged", reason="features_not_understood")
    (sent,) = site.sent("escalation")
    assert sent.priority == site.sent("features")[0].priority
    assert site.box.spool.verify(sent.payload)
    assert site.row.answered_at is None
    assert site.events("image_asked_for") == ["features_not_understood"]
    site.answered("escalation", "urgent", seq=2)
    assert (site.row.answer_basis, site.row.answer_decision) == ("image", "urgent")


def test_not_understood_and_nothing_left_to_send(thin: Callable[[str], Thin]) -> None:
    """The image is gone from the disk: the answer stands as it is, and a person sees that nothing was read."""
    site = thin("features")
    for row in site.box.rows(instances):
        site.box.spool.path(row.file_digest).unlink()
    site.answered("features", "not_triaged", reason="features_not_understood")
    assert not site.sent("escalation")
    assert (site.row.answer_decision, site.row.answer_reason) == ("not_triaged", "features_not_understood")
    assert site.confirmation is Confirmation.FROM_FEATURES


def test_not_understood_hastens_the_image_behind(thin: Callable[[str], Thin]) -> None:
    """It is queued as bulk already, and now goes as urgently as the features did."""
    site = thin("features_first")
    site.answered("features", "not_triaged", reason="features_not_understood")
    (sent,) = site.sent("escalation")
    assert sent.priority == site.sent("features")[0].priority
    assert site.row.answered_at is None


def test_what_a_rule_leaves_out_does_not_go_up(thin: Callable[..., Thin]) -> None:
    """Neither its features nor, after all, its image; and the answer holds for the rest as a whole."""
    site = thin("features", rule=[{"name": "second", "match": {"InstanceNumber": 2}, "triage": "exclude"}])
    site.box.receive(image("urgent", seed="2", StudyInstanceUID=site.study, InstanceNumber=2), now=NOW + 1)
    assert site.worker.step(NOW + 1)
    asked = site.sent("features")[-1]
    assert (asked.revision, site.row.revision) == (2, 2)
    assert len(parse_features(site.box.spool.file(asked.payload).read_bytes()).pictures) == 1
    site.answered("features", "not_triaged", reason="features_not_understood", seq=2)
    (sent,) = site.sent("escalation")
    with ZipFile(BytesIO(site.box.spool.file(sent.payload).read_bytes())) as archive:
        assert len(archive.namelist()) == 1
    assert sent.attributes["left_out"] == 0
