"""What the cloud answers is applied once, to the study as it was sent, and disagreement is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, update

from appliance.results.report_content import PROVISIONAL
from appliance.schema import Agreement, StudyState, answers, findings, instances, studies, study_events
from appliance.triage.amend import agreement
from appliance.triage.documents import NO_HEADERS, NO_PICTURE
from appliance.triage.worker import TriageWorker
from models.decision import Decision
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import deliveries
from store_forward.protocol import Answer, AnswerFinding
from tests.dicom_factory import read_back
from tests.small_box import NOW, SmallBox, image

ReadingBox = Callable[..., SmallBox]


@pytest.mark.parametrize(
    ("box", "cloud", "verdict"),
    [
        (0.6, Decision.urgent, Agreement.AGREES),
        (0.4, Decision.routine, Agreement.AGREES),
        (0.5, Decision.routine, Agreement.DISAGREES),
        (0.2, Decision.urgent, Agreement.DISAGREES),
        (None, Decision.urgent, None),
        (0.9, Decision.escalate, None),
        (0.9, Decision.not_triaged, None),
    ],
)
def test_agreement(box: float | None, cloud: Decision, verdict: Agreement | None) -> None:
    """The cloud took the side the box leaned to, or the other, or one of them took none."""
    assert agreement(box, cloud) is verdict


class Escalated:
    """A box with one escalated study and a worker, and a cloud that answers what a test says."""

    def __init__(self, box: SmallBox) -> None:
        self.box = box
        self.study = box.receive(image("escalate"))
        self.worker: TriageWorker = box.worker()
        assert self.worker.step(NOW)

    @property
    def payload(self) -> str:
        """The digest of the latest escalation."""
        return str([one for one in self.box.rows(deliveries) if one.kind == "escalation"][-1].payload)

    @property
    def row(self) -> Any:
        """The study's row."""
        return self.box.study(self.study)

    def comes_down(self, seq: int = 1, case: str | None = None, probability: float | None = 0.9, **fields: Any) -> None:
        """An answer as the uplink stores it."""
        found = [] if probability is None else [AnswerFinding(name="bright_above", probability=probability)]
        said = {"decision": "urgent", "pack": "full", "pack_version": "2", "pack_digest": "f" * 64, "device": "gpu"}
        answer = Answer.model_validate(
            {"seq": seq, "case": case or self.payload, "answered_at": NOW + 60, "findings": found, **said, **fields}
        )
        row = {"seq": seq, "payload": answer.case, "body": answer.model_dump_json(), "received_at": NOW + 61}
        with writing(self.box.engine) as connection:
            connection.execute(insert(answers).values(**row))

    def deliver_all(self) -> None:
        """Everything in the outbox is delivered."""
        with writing(self.box.engine) as connection:
            for destination in ("cloud", "archive"):
                while leased := outbox.lease(connection, destination, "test", NOW, 60):
                    outbox.delivered(connection, leased, "ok", NOW)

    def late_image(self, **overrides: Any) -> None:
        """One more image of the study, which is then read again."""
        self.box.receive(image("escalate", seed="late", StudyInstanceUID=self.study, **overrides), now=NOW + 100)
        assert self.worker.step(NOW + 100)


@pytest.fixture
def escalated(reading_box: ReadingBox) -> Escalated:
    """One escalated study, about which the box says 0.52."""
    return Escalated(reading_box())


def test_an_answer_amends_the_study(escalated: Escalated) -> None:
    """Decision, pack, finding and agreement stand beside what the box said."""
    escalated.comes_down()
    assert escalated.worker.step(NOW + 62)
    row = escalated.row
    assert (row.decision, row.answer_decision, row.answered_at) == ("escalate", "urgent", NOW + 60)
    assert (row.answer_pack, row.answer_pack_version, row.answer_pack_digest) == ("full", "2", "f" * 64)
    assert row.agreement == "agrees"
    cloud = [(f.name, f.probability) for f in escalated.box.rows(findings) if f.source == "cloud"]
    assert cloud == [("bright_above", 0.9)]
    assert escalated.box.rows(study_events)[-1].detail == "cloud: urgent, agrees"
    assert escalated.box.rows(answers)[0].applied_at == NOW + 62


def test_the_archive_gets_an_amended_report(escalated: Escalated) -> None:
    """A second document of the same study that names its predecessor."""
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    first, second = (
        read_back(escalated.box.spool.file(one.payload))
        for kind in ("report", "amended_report")
        for one in escalated.box.rows(deliveries)
        if one.kind == kind
    )
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SOPInstanceUID in str(second.PredecessorDocumentsSequence)
    assert PROVISIONAL in first.to_json()
    assert PROVISIONAL not in second.to_json()
    assert "The full model confirms" in second.to_json()


def test_an_urgent_answer_goes_first_and_points_the_image_out(escalated: Escalated) -> None:
    """The box had not called it urgent; of one image there is no doubt which is meant."""
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    urgent = {one.kind: one.priority for one in escalated.box.rows(deliveries) if one.created_at == NOW + 62}
    assert urgent == {"amended_report": 0, "amended_picture": 0, "key_objects": 0}
    (selection,) = [one for one in escalated.box.rows(deliveries) if one.kind == "key_objects"]
    assert (
        escalated.box.rows(instances)[0].sop_instance_uid
        in read_back(escalated.box.spool.file(selection.payload)).to_json()
    )


def test_the_archive_gets_an_amended_picture(escalated: Escalated) -> None:
    """The first one with a band more; another instance of the same series, and it names the same image."""
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    first, second = (
        read_back(escalated.box.spool.file(one.payload))
        for kind in ("picture", "amended_picture")
        for one in escalated.box.rows(deliveries)
        if one.kind == kind
    )
    assert first.SOPInstanceUID != second.SOPInstanceUID == second.file_meta.MediaStorageSOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID and second.InstanceNumber > first.InstanceNumber
    assert second.SourceImageSequence == first.SourceImageSequence
    before, after = first.pixel_array, second.pixel_array
    assert np.array_equal(before, after[: len(before)]) and after[len(before) :].any()


def test_an_amended_picture_that_cannot_be_made_is_said(escalated: Escalated) -> None:
    """The report goes all the same."""
    (picture,) = [one for one in escalated.box.rows(deliveries) if one.kind == "picture"]
    escalated.box.spool.path(picture.payload).write_bytes(b"spoilt")
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    kinds = {one.kind for one in escalated.box.rows(deliveries)}
    assert "amended_report" in kinds and "amended_picture" not in kinds
    assert NO_PICTURE in [row.detail for row in escalated.box.rows(study_events) if row.kind == "not_sent"]


def test_of_several_images_the_answer_does_not_say_which(escalated: Escalated) -> None:
    """None is pointed out."""
    escalated.late_image()
    escalated.comes_down()
    escalated.worker.step(NOW + 162)
    assert escalated.row.answer_decision == "urgent"
    assert not [one for one in escalated.box.rows(deliveries) if one.kind == "key_objects"]


def test_a_report_after_a_late_image_follows_the_first(escalated: Escalated) -> None:
    """In its own words: the predecessor is the report on the study as it was, amended if it was."""
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    escalated.late_image()
    first, amended, second = (
        read_back(escalated.box.spool.file(one.payload))
        for one in escalated.box.rows(deliveries)
        if one.kind in ("report", "amended_report")
    )
    assert amended.SOPInstanceUID in second.to_json()
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_an_amended_report_that_cannot_be_made_is_said(escalated: Escalated) -> None:
    """The answer counts; the history says what the archive does not get."""
    for row in escalated.box.rows(instances):
        escalated.box.spool.path(row.file_digest).write_bytes(b"spoilt")
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    assert escalated.row.answer_decision == "urgent"
    assert NO_HEADERS in [row.detail for row in escalated.box.rows(study_events) if row.kind == "not_sent"]


def test_a_disagreement_is_said(escalated: Escalated) -> None:
    """The box leaned towards the finding, the cloud does not."""
    escalated.comes_down(decision="routine", probability=0.01)
    escalated.worker.step(NOW + 62)
    assert (escalated.row.answer_decision, escalated.row.agreement) == ("routine", "disagrees")


def test_a_cloud_that_could_not_read_it_either(escalated: Escalated) -> None:
    """not_triaged with its reason is an answer, and no agreement with anybody."""
    escalated.comes_down(decision="not_triaged", reason="worker_gave_up", probability=None, pack=None)
    escalated.worker.step(NOW + 62)
    row = escalated.row
    assert (row.answer_decision, row.answer_reason, row.answer_pack) == ("not_triaged", "worker_gave_up", None)
    assert row.agreement is None


def test_a_reason_this_box_does_not_know(escalated: Escalated) -> None:
    """A newer cloud's reason does not bring the worker down; the decision counts."""
    escalated.comes_down(decision="not_triaged", reason="struck_by_lightning", probability=None)
    assert escalated.worker.step(NOW + 62)
    assert (escalated.row.answer_decision, escalated.row.answer_reason) == ("not_triaged", None)
    assert escalated.box.rows(answers)[0].applied_at is not None


def test_routine_from_a_cloud_that_saw_a_part(escalated: Escalated) -> None:
    """Instances that stayed on the box were not read: the absence of a finding is not claimed for them."""
    with writing(escalated.box.engine) as connection:
        connection.execute(
            update(deliveries).where(deliveries.c.kind == "escalation").values(attributes={"left_out": 1})
        )
    escalated.comes_down(decision="routine", probability=0.01)
    escalated.worker.step(NOW + 62)
    assert (escalated.row.answer_decision, escalated.row.answer_reason) == ("escalate", "partly_covered")


def test_answered_and_delivered_is_settled(escalated: Escalated) -> None:
    """The amended report has to arrive as well."""
    escalated.deliver_all()
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    assert escalated.row.state == StudyState.DECIDED
    escalated.deliver_all()
    late = escalated.row
    assert late.state == StudyState.DECIDED  # the lane settles it, see test_uplink


def test_without_an_archive_the_answer_settles(reading_box: ReadingBox) -> None:
    """Nothing else is on its way."""
    escalated = Escalated(reading_box(pacs=[]))
    escalated.deliver_all()
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    assert escalated.row.state == StudyState.SETTLED


def test_a_stale_answer_is_kept_and_not_applied(escalated: Escalated) -> None:
    """A late image came after the escalation: the answer is about what the study no longer is."""
    stale = escalated.payload
    escalated.late_image()
    escalated.comes_down(case=stale)
    assert escalated.worker.step(NOW + 162)
    assert (escalated.row.revision, escalated.row.answered_at) == (2, None)
    assert escalated.box.rows(answers)[0].applied_at == NOW + 162
    assert not [one for one in escalated.box.rows(deliveries) if one.kind == "amended_report"]
    assert not escalated.worker.step(NOW + 163)


def test_the_answer_to_the_new_revision_counts(escalated: Escalated) -> None:
    """The stale one does not stand in its way."""
    stale = escalated.payload
    escalated.late_image()
    assert escalated.payload != stale
    escalated.comes_down(seq=1, case=stale, decision="routine", probability=0.0)
    escalated.comes_down(seq=2, case=escalated.payload)
    assert escalated.worker.step(NOW + 162)
    assert escalated.worker.step(NOW + 163)
    assert (escalated.row.answer_decision, escalated.row.revision) == ("urgent", 2)


def test_the_same_answer_twice_is_applied_once(escalated: Escalated) -> None:
    """Under another number: no second finding, no second report."""
    escalated.comes_down(seq=1)
    escalated.comes_down(seq=2, decision="routine", probability=0.0)
    assert escalated.worker.step(NOW + 62)
    assert escalated.worker.step(NOW + 63)
    assert not escalated.worker.step(NOW + 64)
    assert escalated.row.answer_decision == "urgent"
    assert len([f for f in escalated.box.rows(findings) if f.source == "cloud"]) == 1
    assert len([d for d in escalated.box.rows(deliveries) if d.kind == "amended_report"]) == 1


def test_the_answer_to_an_equal_payload_is_reused(escalated: Escalated) -> None:
    """The new revision sends the very bytes the cloud has answered: it will not answer again, and need not."""
    sent = escalated.payload
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    escalated.late_image(BurnedInAnnotation="YES")  # may not leave the box, so the payload is the same
    assert (escalated.payload, escalated.row.revision, escalated.row.answered_at) == (sent, 2, None)
    assert escalated.worker.step(NOW + 101)
    row = escalated.row
    assert (row.answer_decision, row.answered_at) == ("urgent", NOW + 60)


def test_an_answer_about_nothing_we_know(escalated: Escalated) -> None:
    """Another box's case, or one from before the database was replaced: kept, marked, and nothing else."""
    before = escalated.row
    escalated.comes_down(case="9" * 64)
    assert escalated.worker.step(NOW + 62)
    assert escalated.row == before
    assert escalated.box.rows(answers)[0].applied_at == NOW + 62


def test_a_late_image_between_reading_and_writing_the_answer(escalated: Escalated) -> None:
    """The study is reopened while the amended report is made: the report is not sent."""
    escalated.comes_down()
    payloads, real = escalated.worker._payloads, escalated.worker._payloads.amended_report

    def interrupted(*arguments: Any) -> Any:
        escalated.box.receive(image(seed="late", StudyInstanceUID=escalated.study), now=NOW + 100)
        return real(*arguments)

    payloads.amended_report = interrupted  # type: ignore[method-assign, assignment]
    assert escalated.worker.step(NOW + 62)
    assert escalated.row.answered_at is None
    assert not [one for one in escalated.box.rows(deliveries) if one.kind == "amended_report"]


def test_an_answer_is_applied_before_the_next_study_is_read(escalated: Escalated) -> None:
    """What is already known is shown first."""
    escalated.box.receive(image(seed="next"), now=NOW + 62)
    escalated.comes_down()
    escalated.worker.step(NOW + 62)
    assert escalated.row.answer_decision == "urgent"
    assert [row.decision for row in escalated.box.rows(studies)].count(None) == 1


def test_an_amended_report_goes_where_the_first_one_went(reading_box: ReadingBox) -> None:
    """By the rules under which the study was decided, and as urgently."""
    archives = [{"name": name, "host": "127.0.0.1", "port": 104, "ae_title": "A"} for name in ("archive", "other")]
    route = {"name": "route", "match": {"Modality": "DX"}, "send_to": ["other"], "priority": "urgent"}
    escalated = Escalated(reading_box(pacs=archives, rule=[route]))
    escalated.comes_down(decision="routine", probability=0.02)
    assert escalated.worker.step(NOW + 62)
    sent = {one.kind: (one.destination, one.priority) for one in escalated.box.rows(deliveries)}
    assert sent["report"] == sent["amended_report"] == ("other", 0)
    assert len(escalated.box.rows(deliveries)) == len(sent)
