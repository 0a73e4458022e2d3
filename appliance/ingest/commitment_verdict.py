"""To what we commit: what is found on the disk as it was received, looked for when the report is made.

The promise is written down before it is given, and retention keeps to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, select, update

from appliance.disk.removals import DELETED
from appliance.disk.tables import deletions
from appliance.ingest.commitment_requests import Reference, Request
from appliance.results.commitments import FailureReason
from appliance.schema import instances
from store_forward.database import portions, reading, writing
from store_forward.spool import Spool


@dataclass(frozen=True)
class Verdict:
    """What is reported: everything that was asked stands in one of the two."""

    committed: tuple[Reference, ...]
    failed: tuple[tuple[Reference, FailureReason], ...]


def look_for(
    engine: Engine, spool: Spool, request: Request, supported: Collection[str], go_on: Callable[[], bool]
) -> Verdict | None:
    """Look for every instance and read it back; None when told to stop. Raises OSError when nothing can be read at all.

    What passes has a row, under the SOP class that was asked for, and a file with the very bytes received.
    ``supported`` are the SOP classes that are taken in.
    """
    committed: list[Reference] = []
    failed: list[tuple[Reference, FailureReason]] = []
    for reference in request.references:
        if not go_on():
            return None
        reason = _trouble(engine, spool, reference, supported)
        reason = FailureReason.DUPLICATE_TRANSACTION_UID if request.duplicate else reason
        if reason is None:
            committed.append(reference)
        else:
            failed.append((reference, reason))
    return Verdict(tuple(committed), tuple(failed))


def _trouble(engine: Engine, spool: Spool, reference: Reference, supported: Collection[str]) -> FailureReason | None:
    sop_class_uid, sop_instance_uid = reference
    query = select(instances.c.sop_class_uid, instances.c.file_digest)
    with reading(engine) as connection:
        row = connection.execute(query.where(instances.c.sop_instance_uid == sop_instance_uid)).one_or_none()
    if row is None and sop_class_uid not in supported:
        return FailureReason.REFERENCED_SOP_CLASS_NOT_SUPPORTED
    if row is None or not spool.holds(row.file_digest):
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    if row.sop_class_uid != sop_class_uid:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    return None if spool.verify(row.file_digest) else FailureReason.PROCESSING_FAILURE


def promise(engine: Engine, verdict: Verdict, now: float) -> Verdict:
    """Write down that these are kept, whatever retention is set to; what it has begun to delete fails after all."""
    with writing(engine) as connection:
        gone = _being_deleted(connection, [uid for _, uid in verdict.committed])
        kept = tuple(one for one in verdict.committed if one[1] not in gone)
        for part in portions([uid for _, uid in kept]):
            of_part = update(instances).where(
                instances.c.sop_instance_uid.in_(part), instances.c.committed_at.is_(None)
            )
            connection.execute(of_part.values(committed_at=now))
    lost = tuple((one, FailureReason.NO_SUCH_OBJECT_INSTANCE) for one in verdict.committed if one[1] in gone)
    return Verdict(kept, (*verdict.failed, *lost))


def _being_deleted(connection: Connection, uids: list[str]) -> set[str]:
    query = select(instances.c.sop_instance_uid).join(
        deletions, deletions.c.study_instance_uid == instances.c.study_instance_uid
    )
    going = query.where(deletions.c.state.in_(DELETED))
    return {
        uid
        for part in portions(uids)
        for uid in connection.execute(going.where(instances.c.sop_instance_uid.in_(part))).scalars()
    }
