"""The state of the box as values: what the page shows and ``scanside status --json`` prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from appliance.disk.autonomy import Autonomy, autonomy
from appliance.disk.days import day_of, recorded_days
from appliance.ingest.commitment_requests import waiting_reports
from appliance.messages import open_notices
from appliance.schema import NO_DEVICE
from appliance.settings import Settings
from appliance.standby.view import StandbyView, standby_notices, standby_view
from appliance.web.agreement import AgreementView, agreement_view
from appliance.web.box import (
    DeviceView,
    ProcessView,
    SetAside,
    Storage,
    Surroundings,
    device_views,
    disk_troubles,
    process_views,
    set_aside_view,
    storage,
    take_surroundings,
)
from appliance.web.deliveries import DestinationView, ParkedDelivery, destination_views, parked_deliveries
from appliance.web.start import start_notices
from appliance.web.wording import age_words, size_words
from appliance.web.worklist import Worklist, WorklistRequest, worklist
from store_forward.database import sqlite_version
from store_forward.room import Room
from store_forward.spool import Spool

_PATIENT_FIELDS = (
    "patient_name",
    "patient_id",
    "patient_age",
    "accession_number",
    "study_date",
    "study_description",
)


@dataclass(frozen=True)
class Notice:
    """Something a person should see first; ``severity`` is "problem" or "note".

    ``message`` is the number of a notice from the cloud's operator, which stays until a person has acknowledged it.
    """

    severity: str
    text: str
    message: int | None = None


@dataclass(frozen=True)
class StatusView:
    """The whole state at ``now`` (epoch s, UTC)."""

    now: float
    notices: tuple[Notice, ...]
    worklist: Worklist
    destinations: tuple[DestinationView, ...]
    parked: tuple[ParkedDelivery, ...]
    agreement: AgreementView
    surroundings: Surroundings
    devices: tuple[DeviceView, ...]
    processes: tuple[ProcessView, ...]
    storage: Storage
    autonomy: Autonomy
    set_aside: SetAside
    sqlite_version: str
    standby: StandbyView | None = None


def status(
    conn: Connection,
    settings: Settings,
    spool: Spool,
    now: float,
    *,
    request: WorklistRequest | None = None,
    surroundings: Surroundings | None = None,
) -> StatusView:
    """Read the state in one transaction of ``conn``; ``surroundings`` are found out afresh when not given.

    Raises sqlalchemy.exc.DatabaseError when the database cannot be read, OSError when the disk cannot.
    """
    around = surroundings or take_surroundings(settings, spool)
    links = destination_views(conn, settings)
    procs = process_views(conn, now)
    disk = storage(conn, settings, spool)
    tried = device_views(conn, around.packs)
    pair = standby_view(conn, settings)
    of_two = tuple(Notice(*said) for said in standby_notices(pair, now))
    owed = tuple(_report_notice(*one) for one in waiting_reports(conn))
    started = tuple(Notice(*one) for one in start_notices(settings, around.certificates, now))
    return StatusView(
        now=now,
        notices=(
            *_operator_notices(conn),
            *notices(now, links, procs, disk, around, tried, disk_troubles(conn), (*started, *of_two, *owed)),
        ),
        worklist=worklist(conn, request or WorklistRequest(), settings.page.show_patient),
        destinations=links,
        parked=parked_deliveries(conn, [link.name for link in links]),
        agreement=agreement_view(conn),
        surroundings=around,
        devices=tried,
        processes=procs,
        storage=disk,
        autonomy=autonomy(recorded_days(conn, now), day_of(now), disk.free_bytes, disk.floor_bytes),
        set_aside=set_aside_view(conn),
        sqlite_version=sqlite_version(),
        standby=pair,
    )


def _operator_notices(conn: Connection) -> list[Notice]:
    return [
        Notice("problem" if one.level == "warning" else "note", f"From the cloud's operator: {one.text}", one.seq)
        for one in open_notices(conn)
    ]


def notices(
    now: float,
    links: tuple[DestinationView, ...],
    procs: tuple[ProcessView, ...],
    disk: Storage,
    around: Surroundings,
    tried: tuple[DeviceView, ...] = (),
    troubles: tuple[str, ...] = (),
    more: tuple[Notice, ...] = (),
) -> tuple[Notice, ...]:
    """What needs a person, problems before notes."""
    found = [*(Notice("problem", trouble) for trouble in troubles), *more]
    found += [*_disk_notices(disk), *_process_notices(now, procs), *_pack_notices(around), *_device_notices(tried)]
    for link in links:
        found += _link_notices(now, link)
    return tuple(sorted(found, key=lambda notice: notice.severity != "problem"))


def _report_notice(ae_title: str, cause: str, count: int) -> Notice:
    reports = "1 report" if count == 1 else f"{count:,} reports"
    if cause == "no_report_address":
        return Notice("problem", f"{reports} on storage commitment for {ae_title}: enter its report_host.")
    return Notice("note", f"{reports} on storage commitment for {ae_title} not taken yet: {cause.replace('_', ' ')}.")


def _disk_notices(disk: Storage) -> list[Notice]:
    free, again = size_words(disk.free_bytes), size_words(disk.again_bytes)
    bulk, floor = size_words(disk.bulk_bytes), size_words(disk.floor_bytes)
    if disk.room == Room.FULL.word:
        goes_on = f"Reception goes on by itself from {again}; free some space."
        return [Notice("problem", f"The disk is full: {free} free. Senders are told to send again later. {goes_on}")]
    if disk.room == Room.NO_BULK.word:
        waits = "The watched folder waits, and no pictures are made for the archive"
        return [
            Notice("problem", f"The disk is nearly full: {free} free. {waits}; below {floor} no image is taken in.")
        ]
    if disk.room == Room.LOW.word:
        return [Notice("note", f"The disk is getting full: {free} free. Below {bulk} what can wait has to wait.")]
    return []


def _process_notices(now: float, procs: tuple[ProcessView, ...]) -> list[Notice]:
    return [
        Notice("problem", f"The {one.name} process has been silent for {age_words(now - one.beat_at)}.")
        for one in procs
        if one.silent
    ]


def _pack_notices(around: Surroundings) -> list[Notice]:
    found = [
        Notice("problem", f"Model pack {one.pack} was refused: {one.why}. {one.repair}.") for one in around.rejected
    ]
    if not around.packs:
        found.append(Notice("problem", "No model pack is installed: every study will be not triaged."))
    return found


def _device_notices(tried: tuple[DeviceView, ...]) -> list[Notice]:
    unable = [one for one in tried if one.device == NO_DEVICE]
    return [Notice("problem", f"Model pack {one.pack} cannot be used here: {one.detail}.") for one in unable]


def _link_notices(now: float, link: DestinationView) -> list[Notice]:
    found = []
    if link.parked:
        one = link.parked == 1
        parked = f"1 delivery to {link.name} is" if one else f"{link.parked:,} deliveries to {link.name} are"
        found.append(Notice("problem", f"{parked} parked: a person has to look."))
    if link.state in ("down", "refused"):
        how = "unreachable" if link.state == "down" else "refusing us"
        since = f" for {age_words(now - link.since)}" if link.since is not None else ""
        held = link.waiting + link.leased
        found.append(Notice("note", f"{link.name} has been {how}{since}; {held:,} kept safe here until it is back."))
    elif not link.configured and link.waiting:
        found.append(Notice("problem", f"{link.waiting:,} wait for {link.name}, which is no longer configured."))
    return found


def status_dict(view: StatusView) -> dict[str, Any]:
    """The state as plain JSON values. Patient fields are never in it: monitoring has no use for them."""
    values = asdict(view)
    listed: dict[str, Any] = values["worklist"]
    for key in ("rows", "pending"):
        listed[key] = [_without_patient(row) for row in listed[key]]
    del listed["request"], listed["older"]
    return values


def _without_patient(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _PATIENT_FIELDS}
