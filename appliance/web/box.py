"""The box itself: packs, devices, processes, disk, and what was set aside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from appliance.certificates import CertificateState, certificate_states
from appliance.disk.room_watch import room_before
from appliance.disk.tables import quarantined, take_ups
from appliance.packs import registry_of
from appliance.schema import devices, processes, set_aside
from appliance.settings import Settings
from appliance.web.language import gettext as _
from appliance.web.language import ngettext
from appliance.web.promise import Promise, promise_of
from appliance.web.standing import is_silent
from appliance.web.wording import number_words
from models.decision import Thresholds
from store_forward.room import Marks, Room, room_at
from store_forward.spool import Spool

MOST_SET_ASIDE = 10
COUNT_LIMIT = 1000
MOST_OBJECTS = 200_000
_MOST_DEVICES = 50


@dataclass(frozen=True)
class PackView:
    """A model pack that reads images here; ``digest`` is the SHA-256 of its manifest."""

    name: str
    version: str
    digest: str
    findings: tuple[str, ...]
    intended_use: str
    promise: Promise | None = None


@dataclass(frozen=True)
class RejectedPack:
    """A pack that was refused, why, and what to do."""

    pack: str
    why: str
    repair: str


@dataclass(frozen=True)
class Surroundings:
    """What takes a while to find out and changes seldom: what lies in the spool and in the pack folders."""

    spool_objects: int
    spool_bytes: int
    spool_counted_whole: bool
    packs: tuple[PackView, ...]
    rejected: tuple[RejectedPack, ...]
    certificates: tuple[CertificateState, ...] = ()


@dataclass(frozen=True)
class DeviceView:
    """One device that was tried for one pack: median latency if it ran, and why not if it did not."""

    pack: str
    pack_digest: str
    device: str
    latency_ms: float | None
    chosen: bool
    detail: str
    measured_at: float


@dataclass(frozen=True)
class ProcessView:
    """One process of the box; ``silent`` when its last beat is too long ago."""

    name: str
    pid: int
    state: str
    started_at: float
    beat_at: float
    restarts: int
    detail: str
    silent: bool


@dataclass(frozen=True)
class Storage:
    """Disk space under the spool, bytes, the three marks of free space, and the level's word."""

    total_bytes: int
    free_bytes: int
    floor_bytes: int
    bulk_bytes: int
    warn_bytes: int
    again_bytes: int
    room: str


def storage_of(total_bytes: int, free_bytes: int, marks: Marks, before: Room = Room.PLENTY) -> Storage:
    """The disk as values; ``again_bytes`` is the free space from which the present level is left."""
    room = room_at(free_bytes, marks, before)
    bulk, warn = marks.of(Room.NO_BULK), marks.of(Room.LOW)
    return Storage(total_bytes, free_bytes, marks.floor_bytes, bulk, warn, marks.left_at(room), room.word)


@dataclass(frozen=True)
class SetAsideRow:
    """Something that was kept but not taken in."""

    reason: str
    detail: str
    source: str
    sop_instance_uid: str
    file_digest: str
    received_at: float


@dataclass(frozen=True)
class SetAside:
    """The latest of what was set aside; ``number`` stops at ``COUNT_LIMIT``."""

    number: int
    latest: tuple[SetAsideRow, ...]


def take_surroundings(settings: Settings, spool: Spool) -> Surroundings:
    """Walk the spool and verify the packs; seconds on a full box, so callers keep the result for a while."""
    number, size_bytes, whole = _spool_usage(spool.root)
    registry = registry_of(settings)
    return Surroundings(
        spool_objects=number,
        spool_bytes=size_bytes,
        spool_counted_whole=whole,
        packs=tuple(
            PackView(
                pack.manifest.name,
                pack.manifest.version,
                pack.digest,
                tuple(pack.manifest.findings),
                pack.manifest.intended_use,
                promise_of(pack.manifest.figures, *_lines(pack.manifest.thresholds)),
            )
            for pack in registry.packs("box")
        ),
        rejected=tuple(RejectedPack(error.pack, error.why, error.repair) for error in registry.rejected),
        certificates=certificate_states(settings),
    )


def _lines(thresholds: Thresholds) -> tuple[float, float]:
    return thresholds.routine_below, thresholds.urgent_from


def _spool_usage(root: Path) -> tuple[int, int, bool]:
    """Objects, bytes, and whether all were counted: above ``MOST_OBJECTS`` it stops."""
    number = size_bytes = 0
    for folder, _folders, names in os.walk(root):
        for name in names:
            try:
                size_bytes += (Path(folder) / name).stat().st_size
            except FileNotFoundError:
                continue  # moved or removed since the folder was listed
            number += 1
            if number >= MOST_OBJECTS:
                return number, size_bytes, False
    return number, size_bytes, True


def storage(conn: Connection, settings: Settings, spool: Spool) -> Storage:
    """How full the disk under the spool is, and at which level the receiver takes it to be."""
    usage = shutil.disk_usage(spool.root)
    return storage_of(usage.total, usage.free, settings.limits.free_disk, room_before(conn))


def device_views(conn: Connection, packs: Iterable[PackView]) -> tuple[DeviceView, ...]:
    """The devices measured for the packs now in use: the chosen one first, then by latency."""
    c = devices.c
    digests = [pack.digest for pack in packs]
    rows = conn.execute(select(devices).where(c.pack_digest.in_(digests)).limit(_MOST_DEVICES)).all()
    views = [
        DeviceView(
            row.pack,
            row.pack_digest,
            row.device,
            row.latency_ms,
            bool(row.chosen),
            row.detail,
            row.measured_at,
        )
        for row in rows
    ]
    never = float("inf")
    return tuple(
        sorted(
            views,
            key=lambda v: (v.pack, not v.chosen, never if v.latency_ms is None else v.latency_ms, v.device),
        )
    )


def process_views(conn: Connection, now: float) -> tuple[ProcessView, ...]:
    """Every process that has ever reported."""
    return tuple(
        ProcessView(
            row.name,
            row.pid,
            row.state,
            row.started_at,
            row.beat_at,
            row.restarts,
            row.detail,
            is_silent(row.beat_at, now),
        )
        for row in conn.execute(select(processes).order_by(processes.c.name))
    )


def disk_troubles(conn: Connection) -> tuple[str, ...]:
    """What went wrong with the disk and is not over yet, as sentences."""
    lost = select(func.count()).select_from(quarantined).where(quarantined.c.mended_at.is_(None))
    number = conn.execute(lost).scalar_one()
    found = []
    if number:
        said = ngettext(
            "%(number)s file is lost or damaged; the study it belongs to says so. Send this image again.",
            "%(number)s files are lost or damaged; the studies they belong to say so. Send these images again.",
            number,
        )
        found.append(said % {"number": number_words(number)})
    if conn.execute(select(take_ups.c.id).where(take_ups.c.done_at.is_(None))).first():
        found.append(_("The database is new: the images in the spool are being taken up again."))
    return tuple(found)


def set_aside_view(conn: Connection) -> SetAside:
    """How much was set aside, and the latest."""
    c = set_aside.c
    number = conn.scalar(select(func.count()).select_from(select(c.id).limit(COUNT_LIMIT).subquery()))
    query = (
        select(c.reason, c.detail, c.source, c.sop_instance_uid, c.file_digest, c.received_at)
        .order_by(c.id.desc())
        .limit(MOST_SET_ASIDE)
    )
    return SetAside(number or 0, tuple(SetAsideRow(*row) for row in conn.execute(query)))
