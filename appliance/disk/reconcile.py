"""Spool and rows side by side: what is missing, damaged or left over, and what is done about it.

Looking changes nothing. Repairing moves damaged and unaccounted files to ``quarantine/``, writes each into the history
of its study, parks what cannot be sent any more and has the study read again, so that it is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, Engine, Select, exists, insert, select, union, update

from appliance.disk.quarantine import TROUBLE_WORDS, Trouble, put_away
from appliance.disk.removals import DELETED
from appliance.disk.tables import deletions, quarantined, removals
from appliance.history import record_event
from appliance.home import Home
from appliance.schema import StudyState, heat_map_layers, instances, set_aside, studies
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryState, deliveries
from store_forward.spool import Spool

log = structlog.get_logger()
ORPHAN_AGE_S = 3600.0
_PAGE_ROWS = 1000


@dataclass(frozen=True)
class Needed:
    """A file that a row needs: of an instance when ``sop_instance_uid`` is given, else what a delivery carries."""

    digest: str
    size_bytes: int
    study_instance_uid: str
    sop_instance_uid: str = ""
    delivery: int | None = None


@dataclass(frozen=True)
class Found:
    """Something wrong with one file; without ``needed`` no row needs it."""

    trouble: Trouble
    digest: str
    needed: Needed | None = None


def needed_files(engine: Engine) -> Iterator[Needed]:
    """Every image that is not deleted, and the payload of every delivery still to be made; read a page at a time."""
    i, d = instances.c, deliveries.c
    gone = select(deletions.c.study_instance_uid).where(deletions.c.state.in_(DELETED))
    images = select(i.sop_instance_uid, i.file_digest, i.size_bytes, i.study_instance_uid)
    for row in _pages(engine, images.where(i.study_instance_uid.not_in(gone)), i.sop_instance_uid, ""):
        yield Needed(row[1], row[2], row[3], sop_instance_uid=row[0])
    unsent = select(d.id, d.payload, d.size_bytes, d.subject).where(d.state != DeliveryState.DELIVERED.value)
    for row in _pages(engine, unsent, d.id, 0):
        yield Needed(row[1], row[2], row[3], delivery=row[0])


def _pages(engine: Engine, query: Select[*tuple[Any, ...]], key: ColumnElement[Any], after: str | int) -> Iterator[Any]:
    """The rows in the order of their first column, which is the key."""
    while True:
        with reading(engine) as connection:
            rows = connection.execute(query.where(key > after).order_by(key).limit(_PAGE_ROWS)).all()
        yield from rows
        if len(rows) < _PAGE_ROWS:
            return
        after = rows[-1][0]


def known_digests(connection: Connection, only: str | None = None) -> set[str]:
    """Every object that any row names, needed or not; ``only`` asks for one by the indexes."""
    columns = (
        instances.c.file_digest,
        deliveries.c.payload,
        set_aside.c.file_digest,
        removals.c.digest,
        studies.c.heat_map,
        studies.c.thumbnail,
        heat_map_layers.c.digest,
    )
    queries = [select(one).where(one.is_not(None) if only is None else one == only) for one in columns]
    return set(connection.execute(union(*queries)).scalars())


def look_at_rows(home: Home, needed: Iterable[Needed], *, rehash: bool) -> Iterator[Found]:
    """The files that rows need and that are not as they must be; those already in quarantine are not named again."""
    with reading(home.engine) as connection:
        lost = set(connection.execute(select(quarantined.c.digest).where(quarantined.c.mended_at.is_(None))).scalars())
    for one in needed:
        trouble = _trouble(home.spool, one, rehash)
        if trouble is not None and not (trouble is Trouble.MISSING and one.digest in lost and one.delivery is None):
            yield Found(trouble, one.digest, one)


def look_for_orphans(home: Home, now: float) -> list[Found]:
    """Objects that nothing refers to and that are too old to be on their way to a row."""
    old = [path for path in (home.spool.root / "objects").glob("*/*") if path.stat().st_mtime < now - ORPHAN_AGE_S]
    with reading(home.engine) as connection:
        known = known_digests(connection)
    return [Found(Trouble.NO_ROW, path.name) for path in sorted(old) if path.name not in known]


def look_for_left_overs(home: Home, now: float) -> list[Path]:
    """Files of transfers that ended in the middle and that nobody has written to for an hour."""
    incoming = home.spool.incoming
    return [path for path in incoming.iterdir() if path.stat().st_mtime < now - ORPHAN_AGE_S]


def repair(home: Home, found: Found, now: float) -> bool:
    """Put one thing right as far as it can be; False when it is right by now. Raises OSError."""
    if found.needed is None:
        return _repair_orphan(home, found, now)
    with writing(home.engine) as connection:  # under the lock, so that what arrives meanwhile is not taken away
        if _trouble(home.spool, found.needed, found.trouble is Trouble.DAMAGED) is not found.trouble:
            return False
        _mark(connection, found.needed, found.trouble, now)
        if found.needed.delivery is not None:
            outbox.park(connection, [found.needed.delivery], "spool_object_damaged", now)
            why = "a result still to be sent is damaged, so it is made anew"
            read_again(connection, home.spool, found.needed.study_instance_uid, why, now)
        put_away(home.folder, home.spool.path(found.digest), found.trouble, now)
    log.error("spool.damage", reason=found.trouble.value, digest=found.digest[:12])
    return True


def _repair_orphan(home: Home, found: Found, now: float) -> bool:
    path = _object(home.spool, found.digest)
    with writing(home.engine) as connection:
        if known_digests(connection, found.digest) or not path.exists() or path.stat().st_mtime >= now - ORPHAN_AGE_S:
            return False
        put_away(home.folder, path, found.trouble, now)
    log.warning("spool.orphan", digest=found.digest[:12])
    return True


def _object(spool: Spool, name: str) -> Path:
    return spool.root / "objects" / name[:2] / name


def _trouble(spool: Spool, one: Needed, rehash: bool) -> Trouble | None:
    try:
        size_bytes = spool.content_bytes(spool.path(one.digest))
    except FileNotFoundError:
        return Trouble.MISSING
    if size_bytes != one.size_bytes:
        return Trouble.TRUNCATED
    return Trouble.DAMAGED if rehash and not spool.verify(one.digest) else None


def _mark(connection: Connection, one: Needed, trouble: Trouble, now: float) -> None:
    q = quarantined.c
    same: ColumnElement[bool] = (q.digest == one.digest) & (q.study_instance_uid == one.study_instance_uid)
    if connection.scalar(select(exists().where(same, q.mended_at.is_(None)))):
        return
    row = {"digest": one.digest, "reason": trouble.value, "study_instance_uid": one.study_instance_uid}
    connection.execute(insert(quarantined).values(**row, sop_instance_uid=one.sop_instance_uid, found_at=now))
    what = f"image {one.sop_instance_uid}" if one.sop_instance_uid else "a result that was still to be sent"
    if connection.scalar(select(exists().where(studies.c.study_instance_uid == one.study_instance_uid))):
        record_event(connection, one.study_instance_uid, now, "quarantined", f"{what}: {TROUBLE_WORDS[trouble]}")


def read_again(connection: Connection, spool: Spool, uid: str, why: str, now: float) -> None:
    """A study is read anew if its images are all here; a new revision gets new deliveries."""
    i, s = instances.c, studies.c
    digests = connection.execute(select(i.file_digest).where(i.study_instance_uid == uid)).scalars().all()
    if not digests or not all(spool.holds(digest) for digest in digests):
        return
    past = s.state.in_([StudyState.DECIDED, StudyState.SETTLED])
    again = {"state": StudyState.COMPLETE, "revision": s.revision + 1, "triage_attempts": 0, "completes_at": now}
    if connection.execute(update(studies).where(s.study_instance_uid == uid, past).values(again)).rowcount:
        record_event(connection, uid, now, "read_again", why)


def mend(connection: Connection, digest: str, uid: str, now: float) -> bool:
    """A file that was in quarantine has come again; True when there was one. The caller has the study read again."""
    q = quarantined.c
    lost = (q.digest == digest, q.study_instance_uid.in_([uid, ""]), q.mended_at.is_(None))
    if not connection.execute(update(quarantined).where(*lost).values(mended_at=now)).rowcount:
        return False
    record_event(connection, uid, now, "mended", "an image that was lost or damaged has come again")
    return True
