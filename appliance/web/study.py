"""One study in full: its row, the findings of every image, its deliveries and its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from appliance.disk.quarantine import TROUBLE_WORDS, Trouble
from appliance.disk.removals import DELETED
from appliance.disk.tables import deletions, quarantined
from appliance.labels import Said, known_findings, labels, said_of
from appliance.results.outcome import lines_in_words
from appliance.schema import findings, heat_map_layers, instances, studies, study_events
from appliance.triage.deliveries import ESCALATIONS
from appliance.web.explained import explained
from appliance.web.language import gettext as _
from appliance.web.worklist import StudyRow, study_rows
from models.decision import Lines, Thresholds
from store_forward.outbox import DeliveryState, deliveries, delivery_events

MOST_EVENTS = 300
MOST_IMAGE_FINDINGS = 200
MOST_INSTANCES = 50
MOST_LABELS = 50


@dataclass(frozen=True)
class Reader:
    """Which pack read the study; ``latency_ms`` is None for the cloud, of which ``lines`` are not known here."""

    pack: str
    version: str
    digest: str
    device: str
    latency_ms: float | None
    at: float | None
    lines: str = ""


@dataclass(frozen=True)
class ImageFinding:
    """One finding in one image; probability 0..1, ``source`` "box" or "cloud"."""

    source: str
    sop_instance_uid: str
    name: str
    probability: float


@dataclass(frozen=True)
class InstanceRow:
    """One received instance."""

    sop_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    source: str
    received_at: float
    file_digest: str


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened at ``at`` (epoch s), to the ``delivery`` named or else to the study."""

    at: float
    what: str
    delivery: str
    cause: str
    detail: str
    duration_ms: float | None


@dataclass(frozen=True)
class LostFile:
    """A file of the study that is missing or damaged; without a UID, a result that was to be sent."""

    sop_instance_uid: str
    meaning: str
    found_at: float


@dataclass(frozen=True)
class StudyView:
    """Everything the study page shows."""

    row: StudyRow
    heat_map: str | None
    heat_map_finding: str | None
    size_bytes: int
    settled_at: float | None
    box: Reader | None
    cloud: Reader | None
    image_findings: tuple[ImageFinding, ...]
    instances: tuple[InstanceRow, ...]
    timeline: tuple[TimelineEntry, ...]
    timeline_full: bool
    deleted_at: float | None
    lost: tuple[LostFile, ...]
    explained: tuple[str, ...]
    said: tuple[Said, ...]
    known_findings: tuple[str, ...]
    destinations: tuple[str, ...]
    edition: str


def study_view(conn: Connection, study_instance_uid: str, show_patient: bool) -> StudyView | None:
    """Read one study; None when there is none with this UID."""
    row = conn.execute(select(studies).where(studies.c.study_instance_uid == study_instance_uid)).one_or_none()
    if row is None:
        return None
    entries = _timeline(conn, study_instance_uid)
    shown = study_rows(conn, [study_instance_uid], show_patient)[study_instance_uid]
    return StudyView(
        row=shown,
        heat_map=row.heat_map,
        heat_map_finding=row.heat_map_finding,
        size_bytes=row.size_bytes,
        settled_at=row.settled_at,
        box=_box_reader(row),
        cloud=_cloud_reader(row),
        image_findings=_image_findings(conn, study_instance_uid, row.revision),
        instances=_instances(conn, study_instance_uid),
        timeline=entries[-MOST_EVENTS:],
        timeline_full=len(entries) > MOST_EVENTS,
        deleted_at=_deleted_at(conn, study_instance_uid),
        lost=_lost(conn, study_instance_uid),
        explained=explained(row),
        said=_said(conn, study_instance_uid),
        known_findings=tuple(known_findings(conn, row)),
        destinations=tuple(sorted({one.destination for one in shown.deliveries if one.kind not in ESCALATIONS})),
        edition=f"{row.revision} {row.instance_count} {row.heat_map}",
    )


def _said(conn: Connection, uid: str) -> tuple[Said, ...]:
    """What people have said of it, the latest first."""
    query = select(labels).where(labels.c.study_instance_uid == uid).order_by(labels.c.id.desc()).limit(MOST_LABELS)
    return tuple(said_of(row) for row in conn.execute(query))


def _deleted_at(conn: Connection, uid: str) -> float | None:
    """When retention deleted its files, epoch s; None while they are kept."""
    c = deletions.c
    latest = select(func.max(c.began_at)).where(c.study_instance_uid == uid, c.state.in_(DELETED))
    return conn.execute(latest).scalar_one_or_none()


def _lost(conn: Connection, uid: str) -> tuple[LostFile, ...]:
    c = quarantined.c
    query = select(c.sop_instance_uid, c.reason, c.found_at).where(c.study_instance_uid == uid, c.mended_at.is_(None))
    rows = conn.execute(query.order_by(c.id).limit(MOST_INSTANCES))
    return tuple(LostFile(row[0], _(TROUBLE_WORDS[Trouble(row[1])]), row[2]) for row in rows)


def refers_to(conn: Connection, study_instance_uid: str, digest: str) -> bool:
    """Whether the study's row names this spool object as one of its pictures."""
    query = select(studies.c.thumbnail, studies.c.heat_map).where(studies.c.study_instance_uid == study_instance_uid)
    row = conn.execute(query).one_or_none()
    layer = select(heat_map_layers.c.digest).where(heat_map_layers.c.study_instance_uid == study_instance_uid)
    pictures = [*(row or ()), *conn.execute(layer).scalars()]
    return digest in pictures


def _box_reader(row: Any) -> Reader | None:
    if not row.pack:
        return None
    return Reader(
        row.pack,
        row.pack_version or "",
        row.pack_digest or "",
        row.device or "",
        row.latency_ms,
        row.decided_at,
        _lines_words(row),
    )


def _lines_words(row: Any) -> str:
    if row.routine_below is None or row.urgent_from is None:
        return ""
    thresholds = Thresholds(routine_below=row.routine_below, urgent_from=row.urgent_from)
    return lines_in_words(Lines(thresholds, row.lines_set_by or ""))


def _cloud_reader(row: Any) -> Reader | None:
    if not row.answer_pack:
        return None
    version, digest = row.answer_pack_version or "", row.answer_pack_digest or ""
    return Reader(row.answer_pack, version, digest, "", None, row.answered_at)


def _image_findings(conn: Connection, uid: str, revision: int) -> tuple[ImageFinding, ...]:
    c = findings.c
    query = (
        select(c.source, c.sop_instance_uid, c.name, c.probability)
        .where(c.study_instance_uid == uid, c.revision == revision)
        .order_by(c.source, c.probability.desc(), c.id)
        .limit(MOST_IMAGE_FINDINGS)
    )
    return tuple(ImageFinding(*row) for row in conn.execute(query))


def _instances(conn: Connection, uid: str) -> tuple[InstanceRow, ...]:
    c = instances.c
    query = (
        select(c.sop_instance_uid, c.transfer_syntax_uid, c.size_bytes, c.source, c.received_at, c.file_digest)
        .where(c.study_instance_uid == uid)
        .limit(MOST_INSTANCES)
    )
    return tuple(InstanceRow(*row) for row in conn.execute(query))


def _timeline(conn: Connection, uid: str) -> tuple[TimelineEntry, ...]:
    """What happened to the study and to its deliveries, oldest first; the latest when there is too much."""
    entries = [*_study_entries(conn, uid), *_delivery_entries(conn, uid)]
    return tuple(sorted(entries, key=lambda entry: entry.at))


def _study_entries(conn: Connection, uid: str) -> list[TimelineEntry]:
    c = study_events.c
    query = (
        select(c.at, c.kind, c.detail).where(c.study_instance_uid == uid).order_by(c.id.desc()).limit(MOST_EVENTS + 1)
    )
    latest_first = conn.execute(query).all()
    return [TimelineEntry(row.at, row.kind, "", "", row.detail, None) for row in reversed(latest_first)]


def _delivery_entries(conn: Connection, uid: str) -> list[TimelineEntry]:
    event, delivery = delivery_events.c, deliveries.c
    query = (
        select(
            event.at, event.state_to, event.cause, event.detail, event.duration_ms,
            delivery.kind, delivery.destination, delivery.receipt,
        )
        .join(deliveries, delivery.id == event.delivery_id)
        .where(delivery.subject == uid)
        .order_by(event.id.desc())
        .limit(MOST_EVENTS + 1)
    )  # fmt: skip
    return [
        TimelineEntry(
            row.at,
            row.state_to,
            f"{row.kind} to {row.destination}",
            row.cause or "",
            row.detail or (row.receipt if row.state_to == DeliveryState.DELIVERED.value else "") or "",
            row.duration_ms,
        )
        for row in reversed(conn.execute(query).all())
    ]
