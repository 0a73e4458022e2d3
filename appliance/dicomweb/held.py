"""Which instances a path names, and whether their files are still here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, Row, select
from starlette.exceptions import HTTPException

from appliance.disk.removals import DELETED
from appliance.disk.tables import deletions
from appliance.schema import instances, studies
from store_forward.database import reading
from store_forward.spool import Spool


@dataclass(frozen=True)
class Held:
    """One instance whose file is here; ``address`` is its path below the root."""

    sop_instance_uid: str
    transfer_syntax_uid: str
    file_digest: str
    size_bytes: int
    path: Path
    address: str


#: Studies whose files retention has deleted.
GONE = select(deletions.c.study_instance_uid).where(deletions.c.state.in_(DELETED))


def address_of(row: Row[tuple[str, str, str]]) -> str:
    """The instance's path below the root."""
    return f"studies/{row.study_instance_uid}/series/{row.series_instance_uid}/instances/{row.sop_instance_uid}"


def held_instances(engine: Engine, spool: Spool, uids: dict[str, str]) -> tuple[list[Held], int]:
    """The instances of ``study``, ``series`` or ``instance``, and how many more are known whose file is lost.

    Raises HTTPException: 404 when there is none, 410 when retention has deleted them, 500 when all files are lost.
    """
    c = instances.c
    query = select(instances).where(c.study_instance_uid == uids["study"])
    if "series" in uids:
        query = query.where(c.series_instance_uid == uids["series"])
    if "instance" in uids:
        query = query.where(c.sop_instance_uid == uids["instance"])
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(c.series_instance_uid, c.received_at, c.sop_instance_uid)).all()
        gone = connection.execute(GONE.where(deletions.c.study_instance_uid == uids["study"])).first() is not None
        known = connection.execute(select(studies.c.state).where(studies.c.study_instance_uid == uids["study"])).first()
    if not rows:
        what = "study" if known is None else ("instance" if "instance" in uids else "series")
        raise HTTPException(404, f"There is no such {what} on this box.")
    if gone:
        raise HTTPException(410, "The study's files were deleted from this box after its results had been delivered.")
    found = list(_present(rows, spool))
    if not found:
        raise HTTPException(500, "The file is lost or damaged on this box's disk; send it again, or get it elsewhere.")
    return found, len(rows) - len(found)


def _present(rows: Iterable[Row[tuple[str, str, str]]], spool: Spool) -> Iterable[Held]:
    for row in rows:
        path = spool.file(row.file_digest)
        if path.exists():
            yield Held(
                row.sop_instance_uid,
                row.transfer_syntax_uid,
                row.file_digest,
                row.size_bytes,
                path,
                address_of(row),
            )
