"""Modality performed procedure steps: what is being made, and when all of it has been made (PS3.4 Annex F).

A step names its studies when it begins, and its images at the latest when it ends. A study whose steps have all ended,
and whose named images are all here, is complete at once. Else its quiet time decides, as it does without a step.

Nothing here knows the network: the door of the receiver calls, in its own transaction, and reception tells which image
has come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, func, insert, select, update

from appliance.history import record_event
from appliance.ingest.statements import no_longer_awaited
from appliance.ingest.step_tables import StepState, awaited_images, procedure_steps, step_studies
from appliance.schema import StudyState, instances, studies
from store_forward.database import portions

SERIES: Final = "PerformedSeriesSequence"
#: Type 1 for the SCU in the N-CREATE of PS3.4 table F.7.2-1.
NEEDED_TO_BEGIN: Final = (
    "StudyInstanceUID",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
)
#: Type 1 in the final state there. A step that is discontinued may have come to no series.
NEEDED_TO_COMPLETE: Final = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", SERIES)

#: PS3.7 Annex C, and the Error ID of PS3.4 table F.7.2-2.
INVALID_ATTRIBUTE_VALUE: Final = 0x0106
PROCESSING_FAILURE: Final = 0x0110
DUPLICATE_SOP_INSTANCE: Final = 0x0111
NO_SUCH_SOP_INSTANCE: Final = 0x0112
INVALID_OBJECT_INSTANCE: Final = 0x0117
MISSING_ATTRIBUTE: Final = 0x0120
MISSING_ATTRIBUTE_VALUE: Final = 0x0121
RESOURCE_LIMITATION: Final = 0x0213
NO_LONGER_UPDATED: Final = 0xA710


@dataclass(frozen=True)
class Said:
    """What one request says: attributes by keyword, ``""`` for one without a value.

    ``study_uids`` are distinct. ``images`` are SOP Instance UIDs, None when the request is silent about series;
    ``because`` is why it was discontinued, in the modality's words.
    """

    attributes: dict[str, str]
    study_uids: tuple[str, ...] = ()
    images: tuple[str, ...] | None = None
    because: str = ""


class StepRefused(Exception):
    """A request is not followed and nothing was written; the modality gets ``status`` and the comment."""

    def __init__(self, status: int, comment: str, error_id: int | None = None) -> None:
        super().__init__(comment)
        self.status = status
        self.comment = comment
        self.error_id = error_id


def begin_step(conn: Connection, uid: str, calling_ae_title: str, said: Said, most_images: int, now: float) -> None:
    """N-CREATE (PS3.4 F.7.2.1). Raises StepRefused."""
    if conn.execute(_of(uid)).first() is not None:
        raise StepRefused(DUPLICATE_SOP_INSTANCE, "this procedure step is known already")
    _require(NEEDED_TO_BEGIN, said.attributes)
    if said.attributes["PerformedProcedureStepStatus"] != StepState.IN_PROGRESS:
        raise StepRefused(INVALID_ATTRIBUTE_VALUE, "a procedure step begins IN PROGRESS")
    conn.execute(
        insert(procedure_steps).values(
            sop_instance_uid=uid,
            state=StepState.IN_PROGRESS,
            calling_ae_title=calling_ae_title,
            attributes=said.attributes,
            announced=0,
            begun_at=now,
        )
    )
    for study_uid in said.study_uids:
        conn.execute(insert(step_studies).values(study_instance_uid=study_uid, step_uid=uid))
    _announce(conn, uid, said.images, most_images)
    for study_uid in said.study_uids:
        _introduce(conn, study_uid, now)


def update_step(conn: Connection, uid: str, said: Said, most_images: int, now: float) -> None:
    """N-SET (PS3.4 F.7.2.2); one that ends the step completes its studies if all is here. Raises StepRefused."""
    step = conn.execute(_of(uid)).one_or_none()
    if step is None:
        raise StepRefused(NO_SUCH_SOP_INSTANCE, "no such procedure step")
    if step.state != StepState.IN_PROGRESS:
        comment = "Performed Procedure Step Object may no longer be updated"
        raise StepRefused(PROCESSING_FAILURE, comment, NO_LONGER_UPDATED)
    state = said.attributes.get("PerformedProcedureStepStatus", StepState.IN_PROGRESS)
    if state not in list(StepState):
        raise StepRefused(INVALID_ATTRIBUTE_VALUE, "no value of Performed Procedure Step Status")
    attributes = {**step.attributes, **said.attributes}
    if state == StepState.COMPLETED:
        _require(NEEDED_TO_COMPLETE, attributes)
    ended_at = None if state == StepState.IN_PROGRESS else now
    changes = {"state": state, "attributes": attributes, "ended_at": ended_at}
    conn.execute(update(procedure_steps).where(procedure_steps.c.sop_instance_uid == uid).values(changes))
    _announce(conn, uid, said.images, most_images)
    if ended_at is not None:
        _ended(conn, uid, state, said.because, now)


def image_arrived(conn: Connection, study_uid: str, sop_instance_uid: str, now: float, *, first: bool) -> None:
    """An image was taken in, the ``first`` of its study or another; the last that was awaited completes its study."""
    if first:
        _introduce(conn, study_uid, now)
    for step_uid in no_longer_awaited(conn, sop_instance_uid):
        _close_studies(conn, step_uid, now)


def missing_images(conn: Connection, step_uid: str) -> int:
    """How many images that the step names are not here."""
    query = select(func.count()).select_from(awaited_images).where(awaited_images.c.step_uid == step_uid)
    return int(conn.scalar(query) or 0)


def _of(uid: str) -> Select[*tuple[Any, ...]]:
    return select(procedure_steps).where(procedure_steps.c.sop_instance_uid == uid)


def _require(keywords: Iterable[str], attributes: dict[str, str]) -> None:
    for keyword in keywords:
        if keyword not in attributes:
            raise StepRefused(MISSING_ATTRIBUTE, f"{keyword} is missing")
        if not attributes[keyword]:
            raise StepRefused(MISSING_ATTRIBUTE_VALUE, f"{keyword} has no value")


def _announce(conn: Connection, step_uid: str, images: Collection[str] | None, most: int) -> None:
    """What a request says of series stands in place of what was said before."""
    if images is None:
        return
    named = set(images)
    if len(named) > most:
        raise StepRefused(RESOURCE_LIMITATION, "the step names more than max_study_instances images")
    conn.execute(delete(awaited_images).where(awaited_images.c.step_uid == step_uid))
    rows = [{"sop_instance_uid": one, "step_uid": step_uid} for one in sorted(named - _here(conn, named))]
    if rows:
        conn.execute(insert(awaited_images), rows)
    of_step = update(procedure_steps).where(procedure_steps.c.sop_instance_uid == step_uid)
    conn.execute(of_step.values(announced=len(named)))


def _here(conn: Connection, named: Collection[str]) -> set[str]:
    uid = instances.c.sop_instance_uid
    return {found for part in portions(named) for found in conn.execute(select(uid).where(uid.in_(part))).scalars()}


def _studies_of(conn: Connection, step_uid: str) -> list[str]:
    query = select(step_studies.c.study_instance_uid).where(step_studies.c.step_uid == step_uid)
    return list(conn.execute(query).scalars())


def _introduce(conn: Connection, study_uid: str, now: float) -> None:
    """A study that has images says in its history which steps make it."""
    if conn.execute(_state_of(study_uid)).first() is None:
        return
    for step in conn.execute(_steps_of(study_uid)).all():
        record_event(conn, study_uid, now, "procedure_step", f"{step.state}, says {step.calling_ae_title}")


def _ended(conn: Connection, step_uid: str, state: str, because: str, now: float) -> None:
    missing = missing_images(conn, step_uid)
    words = [state, *([because] if because else []), *([f"{missing} of its images are not here"] if missing else [])]
    for study_uid in _studies_of(conn, step_uid):
        if conn.execute(_state_of(study_uid)).first() is not None:
            record_event(conn, study_uid, now, "procedure_step", "; ".join(words))
    _close_studies(conn, step_uid, now)


def _close_studies(conn: Connection, step_uid: str, now: float) -> None:
    for study_uid in _studies_of(conn, step_uid):
        if _is_whole(conn, study_uid):
            _complete(conn, study_uid, now)


def _is_whole(conn: Connection, study_uid: str) -> bool:
    """Every step of it has ended, and what they name, at least one image, is all here."""
    steps = conn.execute(_steps_of(study_uid)).all()
    if any(step.state == StepState.IN_PROGRESS for step in steps) or not any(step.announced for step in steps):
        return False
    of_steps = awaited_images.c.step_uid.in_([step.sop_instance_uid for step in steps])
    return conn.execute(select(awaited_images.c.step_uid).where(of_steps).limit(1)).first() is None


def _complete(conn: Connection, study_uid: str, now: float) -> None:
    receiving = (studies.c.study_instance_uid == study_uid, studies.c.state == StudyState.RECEIVING)
    changes = {"state": StudyState.COMPLETE, "completes_at": now}
    closing = update(studies).where(*receiving).values(changes).returning(studies.c.instance_count)
    for count in conn.execute(closing).scalars().all():
        record_event(conn, study_uid, now, "complete", f"{count} instances, all that its procedure step names")


def _state_of(study_uid: str) -> Select[*tuple[Any, ...]]:
    return select(studies.c.state).where(studies.c.study_instance_uid == study_uid)


def _steps_of(study_uid: str) -> Select[*tuple[Any, ...]]:
    of_study = select(step_studies.c.step_uid).where(step_studies.c.study_instance_uid == study_uid)
    found = select(procedure_steps).where(procedure_steps.c.sop_instance_uid.in_(of_study))
    return found.order_by(procedure_steps.c.begun_at)
