"""What was kept but not taken in: its list, and whether an instance is on it or among those taken in."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from appliance.schema import instances, set_aside
from store_forward.database import portions
from store_forward.spool import StoredObject


def list_aside(
    connection: Connection, kept: StoredObject, uids: tuple[str, str], why: tuple[str, str], source: str, now: float
) -> None:
    """List a kept file; ``uids`` are those of its instance and study or empty, ``why`` the reason and its detail."""
    row = insert(set_aside).values(
        sop_instance_uid=uids[0],
        study_instance_uid=uids[1],
        file_digest=kept.digest,
        reason=why[0],
        detail=why[1],
        source=source,
        received_at=now,
    )
    connection.execute(row.on_conflict_do_nothing())


def known_among(connection: Connection, sop_instance_uids: Iterable[str]) -> set[str]:
    """Those of these instances that were taken in or set aside."""
    found = set[str]()
    for some in portions(set(sop_instance_uids)):
        for table in (instances, set_aside):
            uid = table.c.sop_instance_uid
            found.update(connection.execute(select(uid).where(uid.in_(some))).scalars())
    return found
