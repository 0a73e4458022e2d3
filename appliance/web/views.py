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
from appliance.web.language import gettext as _
from appliance.web.language import ngettext
from appliance.web.listing import WorklistRequest
from appliance.web.quality_drift import drift_words
from appliance.web.start import start_notices
from appliance.web.wording import age_words, number_words, plain, size_words
from appliance.web.worklist import Worklist, worklist
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
class BoxState:
    """What every page needs of the box at ``now`` (epoch s, UTC): its notices, and what they rest on."""

    now: float
    notices: tuple[Notice, ...]
    destinations: tuple[DestinationView, ...]
    surroundings: Surroundings
    devices: tuple[DeviceView, ...]
    processes: tuple[ProcessView, ...]
    storage: Storage
    standby: StandbyView | None


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
    names: bool = False,
) -> StatusView:
    """Read the state in one transaction of ``conn``; ``surroundings`` are found out afresh when not given.

    Patients' names are in it only if ``names``.

    Raises sqlalchemy.exc.DatabaseError when the database cannot be read, OSError when the disk cannot.
    """
    around = surroundings or take_surroundings(settings, spool)
    state = box_state(conn, settings, spool, now, around)
    return StatusView(
        now=now,
        notices=state.notices,
        worklist=worklist(conn, request or WorklistRequest(), names),
        destinations=state.destinations,
        parked=parked_deliveries(conn, [link.name for link in state.destinations]),
        agreement=agreement_view(conn),
        surroundings=around,
        devices=state.devices,
        processes=state.processes,
        storage=state.storage,
        autonomy=autonomy_of(conn, state),
        set_aside=set_aside_view(conn),
        sqlite_version=sqlite_version(),
        standby=state.standby,
    )


def box_state(conn: Connection, settings: Settings, spool: Spool, now: float, around: Surroundings) -> BoxState:
    """What every page needs, and no more: it is read for every look at any of them.

    Raises sqlalchemy.exc.DatabaseError when the database cannot be read, OSError when the disk cannot.
    """
    links = destination_views(conn, settings)
    procs = process_views(conn, now)
    disk = storage(conn, settings, spool)
    tried = device_views(conn, around.packs)
    pair = standby_view(conn, settings)
    of_two = tuple(Notice(*said) for said in standby_notices(pair, now))
    owed = tuple(_report_notice(*one) for one in waiting_reports(conn))
    started = tuple(Notice(*one) for one in start_notices(settings, around.certificates, now))
    drifted = tuple(Notice("problem", said) for said in drift_words(conn, around.packs, now))
    found = notices(now, links, procs, disk, around, tried, disk_troubles(conn), (*started, *of_two, *owed, *drifted))
    return BoxState(now, (*_operator_notices(conn), *found), links, around, tried, procs, disk, pair)


def autonomy_of(conn: Connection, state: BoxState) -> Autonomy:
    """How long the disk lasts, as of ``state``."""
    disk = state.storage
    return autonomy(recorded_days(conn, state.now), day_of(state.now), disk.free_bytes, disk.floor_bytes)


def _operator_notices(conn: Connection) -> list[Notice]:
    said = _("From the cloud's operator: %(text)s")
    return [
        Notice("problem" if one.level == "warning" else "note", said % {"text": one.text}, one.seq)
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
    values = {"number": number_words(count), "name": ae_title, "cause": plain(cause).lower()}
    if cause == "no_report_address":
        said = ngettext(
            "%(number)s report on storage commitment for %(name)s: enter its report_host.",
            "%(number)s reports on storage commitment for %(name)s: enter its report_host.",
            count,
        )
        return Notice("problem", said % values)
    said = ngettext(
        "%(number)s report on storage commitment for %(name)s not taken yet: %(cause)s.",
        "%(number)s reports on storage commitment for %(name)s not taken yet: %(cause)s.",
        count,
    )
    return Notice("note", said % values)


def _disk_notices(disk: Storage) -> list[Notice]:
    values = {
        "free": size_words(disk.free_bytes),
        "again": size_words(disk.again_bytes),
        "bulk": size_words(disk.bulk_bytes),
        "floor": size_words(disk.floor_bytes),
    }
    if disk.room == Room.FULL.word:
        said = _(
            "The disk is full: %(free)s free. Senders are told to send again later. "
            "Reception goes on by itself from %(again)s; free some space."
        )
        return [Notice("problem", said % values)]
    if disk.room == Room.NO_BULK.word:
        said = _(
            "The disk is nearly full: %(free)s free. The watched folder waits, and no pictures are made for the "
            "archive; below %(floor)s no image is taken in."
        )
        return [Notice("problem", said % values)]
    if disk.room == Room.LOW.word:
        said = _("The disk is getting full: %(free)s free. Below %(bulk)s what can wait has to wait.")
        return [Notice("note", said % values)]
    return []


def _process_notices(now: float, procs: tuple[ProcessView, ...]) -> list[Notice]:
    said = _("The %(name)s process has been silent for %(age)s.")
    silent = [one for one in procs if one.silent]
    return [Notice("problem", said % {"name": one.name, "age": age_words(now - one.beat_at)}) for one in silent]


def _pack_notices(around: Surroundings) -> list[Notice]:
    said = _("Model pack %(pack)s was refused: %(why)s. %(repair)s.")
    refused = [{"pack": one.pack, "why": one.why, "repair": one.repair} for one in around.rejected]
    found = [Notice("problem", said % one) for one in refused]
    if not around.packs:
        found.append(Notice("problem", _("No model pack is installed: every study will be not triaged.")))
    return found


def _device_notices(tried: tuple[DeviceView, ...]) -> list[Notice]:
    said = _("Model pack %(pack)s cannot be used here: %(why)s.")
    unable = [one for one in tried if one.device == NO_DEVICE]
    return [Notice("problem", said % {"pack": one.pack, "why": one.detail}) for one in unable]


def _link_notices(now: float, link: DestinationView) -> list[Notice]:
    found = []
    if link.parked:
        said = ngettext(
            "%(number)s delivery to %(name)s is parked: a person has to look.",
            "%(number)s deliveries to %(name)s are parked: a person has to look.",
            link.parked,
        )
        found.append(Notice("problem", said % {"number": number_words(link.parked), "name": link.name}))
    if link.state in ("down", "refused"):
        found.append(Notice("note", _away_words(now, link)))
    elif not link.configured and link.waiting:
        said = ngettext(
            "%(number)s waits for %(name)s, which is no longer configured.",
            "%(number)s wait for %(name)s, which is no longer configured.",
            link.waiting,
        )
        found.append(Notice("problem", said % {"number": number_words(link.waiting), "name": link.name}))
    return found


def _away_words(now: float, link: DestinationView) -> str:
    held = link.waiting + link.leased
    values = {"name": link.name, "number": number_words(held)}
    if link.since is None:
        if link.state == "down":
            return _("%(name)s has been unreachable; %(number)s kept safe here until it is back.") % values
        return _("%(name)s has been refusing us; %(number)s kept safe here until it is back.") % values
    values["age"] = age_words(now - link.since)
    if link.state == "down":
        return _("%(name)s has been unreachable for %(age)s; %(number)s kept safe here until it is back.") % values
    return _("%(name)s has been refusing us for %(age)s; %(number)s kept safe here until it is back.") % values


def status_dict(view: StatusView) -> dict[str, Any]:
    """The state as plain JSON values. Patient fields are never in it: monitoring has no use for them."""
    values = asdict(view)
    listed: dict[str, Any] = values["worklist"]
    for key in ("rows", "pending"):
        listed[key] = [_without_patient(row) for row in listed[key]]
    for key in ("request", "options", "newer", "older", "searched_all"):
        del listed[key]
    return values


def _without_patient(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in _PATIENT_FIELDS}
