"""The cloud's answer amends the study; where cloud and box disagree, it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from appliance.disk.days import count_made
from appliance.history import record_event
from appliance.results.outcome import AmendedAnswer, Basis, ImageFinding, StudyOutcome
from appliance.rules.verdict import orders_of
from appliance.schema import Agreement, answers, findings, instances, studies
from appliance.standby.marks import about, apply_marks
from appliance.triage.deliveries import ESCALATIONS, FEATURES, IMAGE
from appliance.triage.documents import Made
from appliance.triage.image_after_all import image_request, send_image, wants_image
from appliance.triage.payloads import PayloadMaker
from appliance.triage.queue import image_is_asked, settle_if_done
from models.decision import Decision, Lines, PackIdentity, Thresholds
from models.reasons import Reason
from store_forward.database import reading, writing
from store_forward.outbox import deliveries, enqueue
from store_forward.protocol import Answer
from store_forward.spool import Spool

_POSITIVE_FROM = 0.5


def agreement(box: float | None, cloud: Decision) -> Agreement | None:
    """Whether the side the box leaned to is the one the cloud took; ``None`` when either took none.

    Args:
        box: the probability the box decided by, 0..1; None when it read nothing.
        cloud: what the full model decided; only ``routine`` and ``urgent`` take a side.
    """
    if box is None or cloud not in (Decision.routine, Decision.urgent):
        return None
    same = (box >= _POSITIVE_FROM) == (cloud is Decision.urgent)
    return Agreement.AGREES if same else Agreement.DISAGREES


def apply_next_answer(engine: Engine, payloads: PayloadMaker, spool: Spool, now: float) -> bool:
    """Apply the oldest answer that waits, in one transaction with the amended report it causes."""
    with reading(engine) as connection:
        row = connection.execute(
            select(answers).where(answers.c.applied_at.is_(None)).order_by(answers.c.seq).limit(1)
        ).one_or_none()
        if row is None:
            return False
        answer = Answer.model_validate_json(row.body)
        study = _study_of(connection, answer)
        amended = _amended_outcome(connection, study, answer) if study is not None else None
        paths = _paths(connection, study, spool) if study is not None else []
        picture = _picture(connection, study) if study is not None else None
    image = image_request(engine, payloads, spool, study) if study is not None and wants_image(study, answer) else None
    made = payloads.amended_report(paths, amended, picture) if amended is not None and image is None else Made()
    with writing(engine) as connection:
        if study is not None and image is not None:
            send_image(connection, study, image, answer, now)
        elif amended is not None:
            _amend(connection, amended, made, now)
        connection.execute(update(answers).where(answers.c.seq == row.seq).values(applied_at=now))
    return True


def _study_of(connection: Connection, answer: Answer) -> Row[Any] | None:
    """The study this answer is about, if it is still at the revision that was sent and has no answer yet.

    What was answered from features alone is answered once more for the image.
    """
    unanswered = studies.c.answered_at.is_(None)
    better = (studies.c.answer_basis == "features") & (deliveries.c.kind == IMAGE)
    return connection.execute(
        select(studies, deliveries.c.attributes, deliveries.c.kind)
        .join(deliveries, deliveries.c.subject == studies.c.study_instance_uid)
        .where(deliveries.c.payload == answer.case)
        .where(deliveries.c.kind.in_(ESCALATIONS))
        .where(deliveries.c.revision == studies.c.revision)
        .where(studies.c.decided_at.is_not(None))
        .where(studies.c.escalated)
        .where(unanswered | better)
        .limit(1)
    ).one_or_none()


def _amended_outcome(connection: Connection, study: Row[Any], answer: Answer) -> StudyOutcome:
    own = connection.execute(
        select(findings)
        .where(findings.c.study_instance_uid == study.study_instance_uid)
        .where(findings.c.revision == study.revision)
        .where(findings.c.source == "box")
    ).all()
    decision, reason = Decision(answer.decision), _reason_of(answer)
    basis: Basis = "features" if study.kind == FEATURES else "image"
    if decision is Decision.routine and study.attributes.get("left_out"):
        decision, reason = Decision.escalate, Reason.partly_covered  # the cloud has not seen all of it
    return StudyOutcome(
        study_instance_uid=study.study_instance_uid,
        revision=study.revision,
        decision=Decision(study.decision),
        decided_at=study.decided_at,
        reason=Reason(study.reason) if study.reason else None,
        detail=study.detail or "",
        findings=tuple(ImageFinding(f.sop_instance_uid, f.name, f.probability) for f in own),
        abnormality=study.abnormality,
        pack=PackIdentity(study.pack, study.pack_version, study.pack_digest) if study.pack else None,
        device=study.device,
        provisional=basis == "features" and image_is_asked(connection, study),
        images_digest=study.images_digest,
        lines=_lines_of(study),
        orders=orders_of(study),
        answer=AmendedAnswer(
            decision=decision,
            reason=reason,
            findings=tuple(ImageFinding("", found.name, found.probability) for found in answer.findings),
            pack=_pack_of(answer),
            device=answer.device,
            answered_at=answer.answered_at,
            agreement=agreement(study.abnormality, decision),
            basis=basis,
            after_features=basis == "image" and study.answer_basis == "features",
        ),
    )


def _lines_of(study: Row[Any]) -> Lines | None:
    if study.routine_below is None or study.urgent_from is None:
        return None
    thresholds = Thresholds(routine_below=study.routine_below, urgent_from=study.urgent_from)
    return Lines(thresholds, study.lines_set_by or "", study.bound)


def _reason_of(answer: Answer) -> Reason | None:
    """A newer cloud may know reasons that this box does not; its decision counts all the same."""
    return next((reason for reason in Reason if reason.value == answer.reason), None)


def _pack_of(answer: Answer) -> PackIdentity | None:
    if answer.pack is None or answer.pack_version is None or answer.pack_digest is None:
        return None
    return PackIdentity(answer.pack, answer.pack_version, answer.pack_digest)


def _paths(connection: Connection, study: Row[Any], spool: Spool) -> list[Path]:
    """The instances the first report named: those the box read, or all when it read none."""
    of_study = instances.c.study_instance_uid == study.study_instance_uid
    found_on = select(findings.c.sop_instance_uid).where(
        findings.c.study_instance_uid == study.study_instance_uid, findings.c.revision == study.revision
    )
    query = select(instances.c.file_digest).where(of_study)
    ordered = query.order_by(instances.c.series_instance_uid, instances.c.sop_instance_uid)
    read = ordered.where(instances.c.sop_instance_uid.in_(found_on))
    digests = connection.execute(read).scalars().all() or connection.execute(ordered).scalars().all()
    return [spool.file(digest) for digest in digests]


def _picture(connection: Connection, study: Row[Any]) -> str | None:
    """The digest of the picture that was made of the decision, if any was."""
    of_revision = (deliveries.c.subject == study.study_instance_uid) & (deliveries.c.revision == study.revision)
    made = select(deliveries.c.payload).where(of_revision, deliveries.c.kind == "picture").limit(1)
    payload: str | None = connection.execute(made).scalar_one_or_none()
    return payload


def _amend(connection: Connection, outcome: StudyOutcome, made: Made, now: float) -> None:
    answer = outcome.answer
    assert answer is not None
    verdict, pack = answer.agreement, answer.pack
    of_study = studies.c.study_instance_uid == outcome.study_instance_uid
    better = (studies.c.answer_basis == "features") & (answer.basis == "image")
    changed = connection.execute(
        update(studies)
        .where(of_study, studies.c.revision == outcome.revision)
        .where(studies.c.answered_at.is_(None) | better)
        .values(
            answer_decision=answer.decision.value,
            answer_reason=answer.reason.value if answer.reason else None,
            answer_pack=pack.name if pack else None,
            answer_pack_version=pack.version if pack else None,
            answer_pack_digest=pack.digest if pack else None,
            answer_basis=answer.basis,
            answered_at=answer.answered_at,
            agreement=verdict.value if verdict else None,
        )
    )
    if changed.rowcount != 1:
        return  # a late image came in between; the answer is about what the study no longer is
    earlier = (findings.c.study_instance_uid == outcome.study_instance_uid) & (findings.c.revision == outcome.revision)
    connection.execute(delete(findings).where(earlier, findings.c.source == "cloud"))
    for found in answer.findings:
        row = {"revision": outcome.revision, "source": "cloud", "sop_instance_uid": "", "name": found.name}
        connection.execute(
            insert(findings).values(study_instance_uid=outcome.study_instance_uid, probability=found.probability, **row)
        )
    speaker = "cloud" if answer.basis == "image" else "cloud, from features alone"
    words = f"{speaker}: {answer.decision.value}" + (f", {verdict.value}" if verdict else "")
    record_event(connection, outcome.study_instance_uid, now, "answered", words)
    for note in made.notes:
        record_event(connection, outcome.study_instance_uid, now, "not_sent", note)
    count_made(connection, now, made.deliveries)
    for request in made.deliveries:
        enqueue(connection, about(outcome.images_digest, request), now)
    apply_marks(connection, outcome.study_instance_uid, now)
    settle_if_done(connection, outcome.study_instance_uid, now)
