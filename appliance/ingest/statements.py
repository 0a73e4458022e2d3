"""What reception asks and writes for every instance, built once: putting a statement together costs more than it does.

Each is executed with the names of its parameters; one that is also a column's name is that column's value.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from appliance.ingest.step_tables import awaited_images
from appliance.schema import StudyState, instances, studies
from store_forward.database import Prepared

_LATER: Final = ("committed_at", "left_out_by")
_OF_UID: Final = instances.c.sop_instance_uid == bindparam("uid")
_OF_STUDY: Final = studies.c.study_instance_uid == bindparam("uid")
_INSTANCE: Final = Prepared(
    select(instances.c.study_instance_uid, instances.c.file_digest, instances.c.size_bytes).where(_OF_UID)
)
_STUDY: Final = Prepared(
    select(studies.c.state, studies.c.modalities, studies.c.instance_count, studies.c.completes_at).where(_OF_STUDY)
)
#: All columns that are not of later: a new instance.
NEW_INSTANCE: Final = Prepared(
    insert(instances),
    [column.name for column in instances.columns if column.name not in ("committed_at", "left_out_by")],
)
#: ``uid``, ``reopened`` (0 or 1), ``more_instances``, ``more_bytes``, ``modalities``, ``now``, ``completes``.
COUNT_IN: Final = Prepared(
    update(studies)
    .where(_OF_STUDY)
    .values(
        state=StudyState.RECEIVING.value,
        revision=studies.c.revision + bindparam("reopened"),
        triage_attempts=0,
        instance_count=studies.c.instance_count + bindparam("more_instances"),
        size_bytes=studies.c.size_bytes + bindparam("more_bytes"),
        modalities=bindparam("modalities"),
        last_received_at=bindparam("now"),
        completes_at=bindparam("completes"),
    )
)
#: For one that is being received as it was: ``uid``, ``more_bytes``, ``now``. The indexes of the rest stay untouched.
ONE_MORE: Final = Prepared(
    update(studies)
    .where(_OF_STUDY)
    .values(
        instance_count=studies.c.instance_count + 1,
        size_bytes=studies.c.size_bytes + bindparam("more_bytes"),
        last_received_at=bindparam("now"),
    )
)
_NO_LONGER_AWAITED: Final = Prepared(
    delete(awaited_images)
    .where(awaited_images.c.sop_instance_uid == bindparam("uid"))
    .returning(awaited_images.c.step_uid)
)


class KnownInstance(NamedTuple):
    """Of the row of an instance, what tells whether the same has come again."""

    study_instance_uid: str
    file_digest: str
    size_bytes: int


class HeldStudy(NamedTuple):
    """Of the row of a study, what a newcomer changes."""

    state: str
    modalities: str
    instance_count: int
    completes_at: float


def known_instance(connection: Connection, sop_instance_uid: str) -> KnownInstance | None:
    """The instance that has this SOP Instance UID."""
    row = _INSTANCE.execute(connection, uid=sop_instance_uid).fetchone()
    return None if row is None else KnownInstance(*row)


def held_study(connection: Connection, study_instance_uid: str) -> HeldStudy | None:
    """The study that has this Study Instance UID."""
    row = _STUDY.execute(connection, uid=study_instance_uid).fetchone()
    return None if row is None else HeldStudy(*row)


def no_longer_awaited(connection: Connection, sop_instance_uid: str) -> list[str]:
    """The procedure steps that were waiting for this instance, which is here now."""
    return [row[0] for row in _NO_LONGER_AWAITED.execute(connection, uid=sop_instance_uid).fetchall()]
