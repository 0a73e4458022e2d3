"""Which study is next. The attempt is counted before the work: a study that kills the worker is not read for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, update

from appliance.history import record_event
from appliance.results.outcome import Earlier
from appliance.schema import StudyState, instances, studies, study_events
from appliance.triage.deliveries import IMAGE
from store_forward.outbox import deliveries

_OPEN_DELIVERIES = ("waiting", "leased", "parked")


@dataclass(frozen=True)
class Claim:
    """One study at one revision, with its instances as ``(sop_instance_uid, file_digest)`` in a fixed order.

    ``before`` is what was last decided about it, if anything was; ``senders`` says of each instance who sent it.
    ``reruns`` is how often people have asked for it to be read again.
    """

    study_instance_uid: str
    revision: int
    attempt: int
    instances: tuple[tuple[str, str], ...]
    before: Earlier | None = None
    senders: tuple[str, ...] = ()
    reruns: int = 0

    @property
    def images_digest(self) -> str:
        """Names the set of images: the same on every box that holds the same SOP Instance UIDs of this study.

        What a person asked to be read again has another name each time: other packs may say something else about the
        same images, and that goes out as documents of its own.
        """
        names = [*sorted(uid for uid, _ in self.instances), *([f"rerun {self.reruns}"] if self.reruns else [])]
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    @property
    def earlier(self) -> Earlier | None:
        """What was decided before about other images than these; to read the same ones again repeats it."""
        return self.before if self.before is not None and self.before.edition != self.images_digest else None


def requeue_interrupted(connection: Connection, now: float) -> int:
    """At worker start: what the last worker left half-done is complete again. Returns how many."""
    left = connection.execute(
        select(studies.c.study_instance_uid).where(studies.c.state == StudyState.TRIAGING)
    ).scalars()
    uids = list(left)
    for uid in uids:
        _to_state(connection, uid, StudyState.COMPLETE)
        record_event(connection, uid, now, "interrupted", "the triage worker stopped while reading; it is read again")
    return len(uids)


def complete_quiet_studies(connection: Connection, now: float) -> int:
    """Every study whose quiet time is over becomes ``complete``. Returns how many."""
    quiet = connection.execute(
        select(studies.c.study_instance_uid, studies.c.instance_count)
        .where(studies.c.state == StudyState.RECEIVING)
        .where(studies.c.completes_at <= now)
    ).all()
    for row in quiet:
        _to_state(connection, row.study_instance_uid, StudyState.COMPLETE)
        record_event(connection, row.study_instance_uid, now, "complete", f"{row.instance_count} instances")
    return len(quiet)


def claim_next(connection: Connection, now: float) -> Claim | None:
    """Take the complete study that has waited longest; its attempt is counted by the caller's commit."""
    row = connection.execute(
        select(studies).where(studies.c.state == StudyState.COMPLETE).order_by(studies.c.completes_at).limit(1)
    ).one_or_none()
    if row is None:
        return None
    uid = row.study_instance_uid
    connection.execute(
        update(studies)
        .where(studies.c.study_instance_uid == uid)
        .values(state=StudyState.TRIAGING, triage_attempts=row.triage_attempts + 1)
    )
    record_event(connection, uid, now, "triaging", f"attempt {row.triage_attempts + 1}")
    members = connection.execute(
        select(instances.c.sop_instance_uid, instances.c.file_digest, instances.c.source)
        .where(instances.c.study_instance_uid == uid)
        .order_by(instances.c.series_instance_uid, instances.c.sop_instance_uid)
    ).all()
    files = tuple((member.sop_instance_uid, member.file_digest) for member in members)
    senders = tuple(member.source for member in members)
    answered = row.answer_basis if row.answered_at is not None else None
    before = Earlier(row.images_digest, answered) if row.images_digest else None
    asked = select(func.count()).where(study_events.c.study_instance_uid == uid, study_events.c.kind == "rerun")
    reruns = connection.execute(asked).scalar_one()
    return Claim(uid, row.revision, row.triage_attempts + 1, files, before, senders, reruns)


def still_ours(connection: Connection, claim: Claim) -> bool:
    """False when a late image has reopened the study since it was claimed."""
    row = connection.execute(
        select(studies.c.state, studies.c.revision).where(studies.c.study_instance_uid == claim.study_instance_uid)
    ).one()
    return bool(row.state == StudyState.TRIAGING and row.revision == claim.revision)


def settle_if_done(connection: Connection, study_instance_uid: str, now: float, *, answer_awaited: bool = True) -> bool:
    """A decided study with nothing on its way and its answer in hand is ``settled``.

    With ``answer_awaited`` false it is so without the answer: the other box of two has it.
    """
    study = connection.execute(select(studies).where(studies.c.study_instance_uid == study_instance_uid)).one_or_none()
    if study is None or study.state != StudyState.DECIDED:
        return False
    awaited = study.answered_at is None or _awaits_full_model(connection, study)
    if answer_awaited and study.escalated and awaited:
        return False
    on_its_way = connection.execute(
        select(deliveries.c.id)
        .where(
            and_(
                deliveries.c.subject == study_instance_uid,
                deliveries.c.revision == study.revision,
                deliveries.c.state.in_(_OPEN_DELIVERIES),
            )
        )
        .limit(1)
    ).first()
    if on_its_way is not None:
        return False
    connection.execute(
        update(studies)
        .where(studies.c.study_instance_uid == study_instance_uid)
        .values(state=StudyState.SETTLED, settled_at=now)
    )
    record_event(connection, study_instance_uid, now, "settled")
    return True


def _awaits_full_model(connection: Connection, study: Row[Any]) -> bool:
    """What has been answered are the features, and the image was sent after them, or will be."""
    return study.answer_basis == "features" and image_is_asked(connection, study)


def image_is_asked(connection: Connection, study: Row[Any]) -> bool:
    """Whether the study's image, at its present revision, went to the cloud or will."""
    of_revision = and_(deliveries.c.subject == study.study_instance_uid, deliveries.c.revision == study.revision)
    asked = select(deliveries.c.id).where(of_revision, deliveries.c.kind == IMAGE).limit(1)
    return connection.execute(asked).first() is not None


def _to_state(connection: Connection, study_instance_uid: str, state: StudyState) -> None:
    connection.execute(update(studies).where(studies.c.study_instance_uid == study_instance_uid).values(state=state))
