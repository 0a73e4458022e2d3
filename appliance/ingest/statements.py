"""What reception asks and writes for every instance, built once: putting a statement together costs more than it does.

Each is executed with the names of its parameters; one that is also a column's name is that column's value.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, insert, select, update

from appliance.schema import StudyState, instances, studies

#: ``uid``: the row of that SOP Instance UID.
INSTANCE: Final = select(instances).where(instances.c.sop_instance_uid == bindparam("uid"))
#: ``uid``: the row of that Study Instance UID.
STUDY: Final = select(studies).where(studies.c.study_instance_uid == bindparam("uid"))
#: All columns: a new instance.
NEW_INSTANCE: Final = insert(instances)
#: ``uid``, ``reopened`` (0 or 1), ``more_instances``, ``more_bytes``, ``modalities``, ``now``, ``completes``.
COUNT_IN: Final = (
    update(studies)
    .where(studies.c.study_instance_uid == bindparam("uid"))
    .values(
        state=StudyState.RECEIVING,
        revision=studies.c.revision + bindparam("reopened"),
        triage_attempts=0,
        instance_count=studies.c.instance_count + bindparam("more_instances"),
        size_bytes=studies.c.size_bytes + bindparam("more_bytes"),
        modalities=bindparam("modalities"),
        last_received_at=bindparam("now"),
        completes_at=bindparam("completes"),
    )
)
