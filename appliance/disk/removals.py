"""Spool objects that are to go: the rows say so first, then the files go, then the rows.

A kill in between leaves rows, and the next step goes on from them. A file is unlinked under the database's write lock
and only while no row needs it; reception looks under the same lock whether its file is still there, so an image that
arrives at that very moment is either kept or not acknowledged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, Engine, Row, delete, select, union
from sqlalchemy.dialects.sqlite import insert

from appliance.disk.days import count_deleted
from appliance.disk.tables import DeletionState, deletions, removals
from appliance.schema import heat_map_layers, instances, set_aside, studies
from store_forward.database import reading, writing
from store_forward.durable import sync_folder
from store_forward.outbox import DeliveryState, deliveries
from store_forward.spool import Spool

OBJECTS_PER_STEP = 16
"""So many files at most are unlinked while reception waits for the database."""

DELETED = (DeletionState.REMOVING, DeletionState.REMOVED)


def ask_removal(connection: Connection, study_instance_uid: str, digests: Iterable[str]) -> None:
    """Note that these objects are to go if nothing needs them by then."""
    for digest in digests:
        row = insert(removals).values(digest=digest, study_instance_uid=study_instance_uid)
        connection.execute(row.on_conflict_do_nothing())


def needed(connection: Connection, digests: Collection[str]) -> set[str]:
    """Which of these objects something still refers to: a study that is not deleted, or what was set aside.

    A delivery needs its payload until it is delivered, and after that as long as its study is kept.
    """
    gone = select(deletions.c.study_instance_uid).where(deletions.c.state.in_(DELETED))
    payload, subject, state = deliveries.c.payload, deliveries.c.subject, deliveries.c.state
    return set(
        connection.execute(
            union(
                select(instances.c.file_digest)
                .where(instances.c.file_digest.in_(digests))
                .where(instances.c.study_instance_uid.not_in(gone)),
                select(payload)
                .where(payload.in_(digests))
                .where((state != DeliveryState.DELIVERED.value) | subject.not_in(gone)),
                select(studies.c.heat_map).where(studies.c.heat_map.in_(digests)),
                select(studies.c.thumbnail).where(studies.c.thumbnail.in_(digests)),
                select(heat_map_layers.c.digest).where(heat_map_layers.c.digest.in_(digests)),
                select(set_aside.c.file_digest).where(set_aside.c.file_digest.in_(digests)),
            )
        ).scalars()
    )


def remove_some(engine: Engine, spool: Spool, now: float) -> list[Row[tuple[str, str]]]:
    """Remove the files of a few rows and then the rows; returns these rows, none when there is nothing to do.

    Raises OSError when the disk does not let go of a file or does not take its folder; the rows stay.
    """
    with reading(engine) as connection:
        rows = list(connection.execute(select(removals).limit(OBJECTS_PER_STEP)))
    if not rows:
        return []
    digests = [row.digest for row in rows]
    folders = set()
    with writing(engine) as connection:
        kept = needed(connection, digests)
        freed = 0
        for digest in (digest for digest in digests if digest not in kept):
            if (path := spool.path(digest)).exists():
                freed += spool.remove(digest)
                folders.add(path.parent)
        count_deleted(connection, now, freed)
    for folder in folders:
        sync_folder(folder)
    with writing(engine) as connection:
        connection.execute(delete(removals).where(removals.c.digest.in_(digests)))
    return rows
