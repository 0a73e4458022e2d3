"""A decision and all it causes: in one transaction, or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event, insert, update
from sqlalchemy.exc import IntegrityError

from appliance.results.outcome import ImageFinding, StudyOutcome
from appliance.schema import StudyState, answers, findings, studies, study_events
from appliance.triage.outcome_rows import Prepared, commit_outcome
from appliance.triage.queue import Claim, claim_next, complete_quiet_studies
from models.decision import Decision, PackIdentity
from models.reasons import Reason
from store_forward.database import writing
from store_forward.outbox import DeliveryRequest, deliveries
from tests.dicom_factory import uid
from tests.small_box import NOW, SmallBox, image

PAYLOAD = "a" * 64


@pytest.fixture
def claim(box: SmallBox) -> Claim:
    """A study that is being read."""
    box.receive(image())
    with writing(box.engine) as connection:
        complete_quiet_studies(connection, NOW)
        claimed = claim_next(connection, NOW)
    assert claimed is not None
    return claimed


def request(kind: str, size_bytes: int | None = 1) -> DeliveryRequest:
    """A delivery of the study."""
    study = uid("study 0")
    made = DeliveryRequest(f"{study}:1:{kind}", study, 1, kind, "cloud", 1, PAYLOAD, 1, "application/zip")
    return replace(made, size_bytes=size_bytes)  # type: ignore[arg-type]


def prepared(claim: Claim, *requests: DeliveryRequest, escalated: bool = False) -> Prepared:
    """What the worker would commit."""
    outcome = StudyOutcome(
        study_instance_uid=claim.study_instance_uid,
        revision=claim.revision,
        decision=Decision.escalate,
        decided_at=NOW + 1,
        reason=Reason.partly_covered,
        detail="1 of 2",
        findings=(ImageFinding(uid("instance 0"), "nodule", 0.4), ImageFinding(uid("instance 0"), "mass", 0.3)),
        pack=PackIdentity("p", "1", "b" * 64),
        device="openvino:CPU",
        shown=ImageFinding(uid("instance 0"), "nodule", 0.4),
    )
    return Prepared(outcome, tuple(requests), escalated, 12.5, "c" * 64, "d" * 64, ("one stays here",))


def test_everything_is_written(box: SmallBox, claim: Claim) -> None:
    """Study, findings, events and deliveries."""
    with writing(box.engine) as connection:
        assert commit_outcome(connection, claim, prepared(claim, request("report"), request("picture")))
    row = box.study(claim.study_instance_uid)
    assert (row.state, row.decision, row.reason, row.detail) == ("decided", "escalate", "partly_covered", "1 of 2")
    assert (row.pack, row.pack_version, row.pack_digest, row.device) == ("p", "1", "b" * 64, "openvino:CPU")
    assert (row.latency_ms, row.heat_map, row.thumbnail, row.decided_at) == (12.5, "c" * 64, "d" * 64, NOW + 1)
    assert row.heat_map_finding == "nodule"
    assert [(f.name, f.probability, f.revision) for f in box.rows(findings)] == [("nodule", 0.4, 1), ("mass", 0.3, 1)]
    assert [d.kind for d in box.rows(deliveries)] == ["report", "picture"]
    said = [(e.kind, e.detail) for e in box.rows(study_events)][-2:]
    assert said == [("decided", "escalate: partly_covered"), ("not_sent", "one stays here")]


def test_an_enqueue_that_fails_undoes_the_decision(box: SmallBox, claim: Claim) -> None:
    """The second delivery violates the schema: no decision, no finding, no event, no first delivery."""
    before = box.rows(study_events)
    with pytest.raises(IntegrityError), writing(box.engine) as connection:
        commit_outcome(connection, claim, prepared(claim, request("report"), request("picture", size_bytes=None)))
    row = box.study(claim.study_instance_uid)
    assert (row.state, row.decision, row.decided_at) == (StudyState.TRIAGING, None, None)
    assert box.count(findings) == box.count(deliveries) == 0
    assert box.rows(study_events) == before


def test_a_commit_that_fails_undoes_the_decision(box: SmallBox, claim: Claim) -> None:
    """The disk says no at the very end."""

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    event.listen(box.engine, "commit", fail)
    with pytest.raises(OSError, match="no space"), writing(box.engine) as connection:
        commit_outcome(connection, claim, prepared(claim, request("report")))
    event.remove(box.engine, "commit", fail)
    assert box.study(claim.study_instance_uid).decision is None
    assert box.count(findings) == box.count(deliveries) == 0


def test_a_lost_claim_writes_nothing(box: SmallBox, claim: Claim) -> None:
    """A late image came in between."""
    box.admit(image(seed="1", StudyInstanceUID=claim.study_instance_uid))
    with writing(box.engine) as connection:
        assert not commit_outcome(connection, claim, prepared(claim, request("report")))
    assert box.study(claim.study_instance_uid).decision is None
    assert box.count(findings) == box.count(deliveries) == 0


def test_a_new_decision_forgets_the_old_answer(box: SmallBox, claim: Claim) -> None:
    """What the cloud said about an earlier revision does not stand beside the new decision."""
    old = {"answer_decision": "urgent", "answered_at": NOW, "agreement": "agrees", "settled_at": NOW}
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(**old))
        commit_outcome(connection, claim, prepared(claim, escalated=True))
    row = box.study(claim.study_instance_uid)
    assert (row.answer_decision, row.answered_at, row.agreement, row.settled_at) == (None, None, None, None)


def test_nothing_to_deliver_settles_at_once(box: SmallBox, claim: Claim) -> None:
    """Decided and settled in the same transaction."""
    with writing(box.engine) as connection:
        commit_outcome(connection, claim, prepared(claim))
    assert box.study(claim.study_instance_uid).state == StudyState.SETTLED


def test_an_answer_to_the_same_payload_is_used_again(box: SmallBox, claim: Claim) -> None:
    """The cloud answers one payload once; escalating the same bytes again must not wait for ever."""
    row = {"seq": 7, "body": "{}", "received_at": NOW, "applied_at": NOW}
    with writing(box.engine) as connection:
        connection.execute(insert(answers).values(payload=PAYLOAD, **row))
        connection.execute(insert(answers).values(payload="e" * 64, **row | {"seq": 8}))
        commit_outcome(connection, claim, prepared(claim, request("escalation"), escalated=True))
    assert [(a.seq, a.applied_at) for a in box.rows(answers)] == [(7, None), (8, NOW)]
