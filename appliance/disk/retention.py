"""What of a study is deleted, and when: its files, once all of it has arrived and the time it is kept is over.

Decision, findings, history and receipts stay. Of the files nothing goes before every delivery of the study, of every
revision, has its receipt and the study is settled; with no ``keep_days`` nothing goes at all.
"""

from __future__ import annotations

from typing import Final

import structlog
from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, insert, literal, or_, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from appliance.audit.kept import study_deleted
from appliance.disk.removals import DELETED, ask_removal, remove_some
from appliance.disk.tables import DeletionState, deletions, removals
from appliance.history import record_event
from appliance.schema import StudyState, instances, studies
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryState, deliveries
from store_forward.spool import Spool

log = structlog.get_logger()
_DAY_S: Final = 86_400.0
_ROWS_PER_LOOK: Final = 200
_PAUSE_S: Final = 600.0


class Retention:
    """Looks through the settled studies in small steps; the triage worker takes one whenever it has time."""

    def __init__(self, engine: Engine, spool: Spool, keep_days: float | None, *, keeps_committed: bool = True) -> None:
        """``keeps_committed``: a study with an instance that was promised by storage commitment is never deleted."""
        self._keeps_committed = keeps_committed
        self._engine = engine
        self._spool = spool
        self._keep_days = keep_days
        self._after: tuple[float, str] = (-1.0, "")
        self._looked_through_at: float | None = None

    def step(self, now: float) -> bool:
        """Remove a few files, or begin with the next study; False when there is nothing to do. Raises OSError."""
        gone = remove_some(self._engine, self._spool, now)
        for uid in sorted({row.study_instance_uid for row in gone}):
            self._finish(uid, now)
        if gone or self._keep_days is None:
            return bool(gone)
        if self._looked_through_at is not None and 0 <= now - self._looked_through_at < _PAUSE_S:
            return False
        return self._begin_next(now - self._keep_days * _DAY_S, now)

    def _begin_next(self, limit: float, now: float) -> bool:
        c = studies.c
        place = (c.completes_at, c.study_instance_uid)
        after = tuple_(*place) > tuple_(*map(literal, self._after))
        settled = select(*place).where(c.state == StudyState.SETTLED, after).order_by(*place).limit(_ROWS_PER_LOOK)
        with reading(self._engine) as connection:
            rows = connection.execute(settled).all()
            among = c.study_instance_uid.in_([row.study_instance_uid for row in rows])
            condition = may_be_deleted(limit, keeps_committed=self._keeps_committed)
            may_go = select(c.study_instance_uid).where(among, condition).limit(1)
            named = connection.execute(may_go).scalar_one_or_none()
        if named is not None:
            with writing(self._engine) as connection:
                begin(connection, named, condition, now)
            return True
        if len(rows) < _ROWS_PER_LOOK:
            self._after, self._looked_through_at = (-1.0, ""), now
            return False
        self._after = (rows[-1].completes_at, rows[-1].study_instance_uid)
        return True

    def _finish(self, uid: str, now: float) -> None:
        with writing(self._engine) as connection:
            left = connection.scalar(select(exists().where(removals.c.study_instance_uid == uid)))
            if left:
                return
            of_study = (deletions.c.study_instance_uid == uid, deletions.c.state == DeletionState.REMOVING)
            done = connection.execute(
                update(deletions).where(*of_study).values(state=DeletionState.REMOVED, done_at=now)
            )
            if done.rowcount:
                record_event(connection, uid, now, "deleted", "by retention; decision, history and receipts are kept")
                study_deleted(connection, uid, "retention", now)
                log.info("study.deleted", by="retention")


def may_be_deleted(limit: float, *, keeps_committed: bool = True) -> ColumnElement[bool]:
    """The condition on a row of ``studies``: settled, all delivered, and quiet since before ``limit`` (epoch s).

    And nothing of it promised to anybody, if ``keeps_committed``.
    """
    c = studies.c
    not_arrived = exists().where(
        deliveries.c.subject == c.study_instance_uid,
        or_(deliveries.c.state != DeliveryState.DELIVERED.value, deliveries.c.receipt.is_(None)),
    )
    deleted = exists().where(deletions.c.study_instance_uid == c.study_instance_uid, deletions.c.state.in_(DELETED))
    quiet = and_(c.state == StudyState.SETTLED, c.settled_at <= limit, c.last_received_at <= limit)
    promised = exists().where(
        instances.c.study_instance_uid == c.study_instance_uid, instances.c.committed_at.is_not(None)
    )
    return and_(quiet, ~not_arrived, ~deleted, *([~promised] if keeps_committed else []))


def begin(connection: Connection, uid: str, condition: ColumnElement[bool], now: float) -> bool:
    """Write down that the study's files go, all in the caller's transaction; False when they no longer may.

    ``condition`` is that of :func:`may_be_deleted`.
    """
    row = connection.execute(select(studies).where(studies.c.study_instance_uid == uid, condition)).one_or_none()
    if row is None:
        return False
    of_study = select(instances.c.file_digest, literal(uid)).where(instances.c.study_instance_uid == uid)
    payloads = select(deliveries.c.payload, literal(uid)).where(deliveries.c.subject == uid)
    for digests in (of_study, payloads):
        going = upsert(removals).from_select(["digest", "study_instance_uid"], digests.distinct())
        connection.execute(going.on_conflict_do_nothing())
    ask_removal(connection, uid, (digest for digest in (row.heat_map, row.thumbnail) if digest))
    connection.execute(update(studies).where(studies.c.study_instance_uid == uid).values(heat_map=None, thumbnail=None))
    connection.execute(
        insert(deletions).values(
            study_instance_uid=uid, revision=row.revision, state=DeletionState.REMOVING, began_at=now
        )
    )
    words = f"kept long enough and all delivered: {row.instance_count} instances and what was made of them"
    record_event(connection, uid, now, "deleting", words)
    return True


def supersede(connection: Connection, uid: str) -> bool:
    """An image of this study came again or anew: what is there now is kept. False when nothing was deleted."""
    changed = connection.execute(
        update(deletions)
        .where(deletions.c.study_instance_uid == uid, deletions.c.state.in_(DELETED))
        .values(state=DeletionState.SUPERSEDED)
    )
    return changed.rowcount > 0
