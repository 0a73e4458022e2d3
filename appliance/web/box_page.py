"""The page of the box itself: devices, packs, processes, disk, clock and versions; and the card of each pack."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.box_key import key_place
from appliance.errors import ConfigurationInvalid
from appliance.machine.cloud_clock import CloudClock, cloud_clock_of
from appliance.machine.history import DeviceAbility, PackUse, noted_abilities, uses_of
from appliance.machine.record import Jump, Minute, jumps, last_day
from appliance.packs import find_pack
from appliance.web.box import DeviceView, PackView, set_aside_view
from appliance.web.language import gettext as _
from appliance.web.plots import Plot, plot_of
from appliance.web.site import Site, Values
from appliance.web.views import BoxState, autonomy_of, box_state
from appliance.web.wording import latency_words, percent_words, size_words
from hardware.clock import ClockState, clock_state
from hardware.inventory import usable_cores
from hardware.processor import cpu_model
from hardware.readings import ProcessReading, Readings, process_reading
from store_forward.database import sqlite_version

MOST_USES: Final = 5
MOST_JUMPS: Final = 3
#: Beside the product, Python and SQLite: what reads pictures, runs networks and speaks DICOM here.
_PACKAGES: Final = ("openvino", "onnxruntime", "pydicom", "pynetdicom", "highdicom", "numpy", "starlette")
CARD: Final = "card.md"
_MOST_CARD_BYTES: Final = 200_000


@dataclass(frozen=True)
class PackPanel:
    """A pack in use: on which devices it was tried, why the one is used, and since when which version has read."""

    pack: PackView
    tried: tuple[DeviceView, ...]
    failed: tuple[DeviceView, ...]
    chosen: DeviceView | None
    tested_at: float | None
    uses: tuple[PackUse, ...]


@dataclass(frozen=True)
class MachineView:
    """The machine now and over the last day. What it does not tell is None or empty."""

    cpu_model: str
    cores: int
    now: Readings
    plots: tuple[Plot, ...]
    clock: ClockState
    jumps: tuple[Jump, ...]
    cloud_clock: CloudClock | None
    abilities: tuple[DeviceAbility, ...]
    versions: tuple[tuple[str, str], ...]
    taken: dict[str, ProcessReading]


def box_routes(site: Site) -> list[Route]:
    """The live page, and a page for each pack's card."""

    def box(_request: Request, conn: Connection) -> Values:
        now = site.clock()
        state = box_state(conn, site.settings, site.spool, now, site.watch.surroundings())
        return {
            "now": now,
            "view": state,
            "packs": pack_panels(conn, state),
            "machine": machine_view(conn, site, state),
            "autonomy": autonomy_of(conn, state),
            "set_aside": set_aside_view(conn),
            "at_rest": at_rest_words(site),
        }

    def card(request: Request) -> Response:
        site.person(request)
        name = request.path_params["name"]
        return site.render(request, "card.html", {"name": name, "text": card_of(site, name), "now": site.clock()})

    return [*site.page("/box", "box", box), Route("/packs/{name}/card", card)]


def at_rest_words(site: Site) -> str:
    """Whether the home is encrypted, and where its key is."""
    if site.spool.seal is None:
        return _("not encrypted")
    if key_place(site.settings).kind == "beside":
        return _("encrypted, its key beside it")
    return _("encrypted, its key elsewhere")


def card_of(site: Site, name: str) -> str:
    """The card of a pack in use. Raises HTTPException 404."""
    if name not in {one.name for one in site.watch.surroundings().packs}:
        raise HTTPException(404, _("No pack of this name is in use on this box."))
    try:
        with (find_pack(name, site.settings).folder / CARD).open("rb") as file:
            return file.read(_MOST_CARD_BYTES).decode(errors="replace")
    except (OSError, ConfigurationInvalid):
        raise HTTPException(404, _("This pack has no card that can be read.")) from None


def pack_panels(conn: Connection, state: BoxState) -> tuple[PackPanel, ...]:
    """Each pack in use with what was found out about it here."""
    panels = []
    for pack in state.surroundings.packs:
        of_pack = [one for one in state.devices if one.pack_digest == pack.digest]
        ran = tuple(one for one in of_pack if one.latency_ms is not None)
        failed = tuple(one for one in of_pack if one.latency_ms is None)
        chosen = next((one for one in ran if one.chosen), None)
        tested_at = max((one.measured_at for one in of_pack), default=None)
        panels.append(PackPanel(pack, ran, failed, chosen, tested_at, tuple(uses_of(conn, pack.name, MOST_USES))))
    return tuple(panels)


def machine_view(conn: Connection, site: Site, state: BoxState) -> MachineView:
    """What the machine says, and what was written down of it."""
    now, seen = state.now, site.watch.machine()
    found = {one.name: process_reading(one.pid, one.started_at) for one in state.processes if not one.silent}
    return MachineView(
        cpu_model=_cpu(),
        cores=usable_cores(),
        now=seen,
        plots=day_plots(last_day(conn, now), now, seen.memory_total_bytes),
        clock=clock_state(),
        jumps=tuple(jumps(conn, MOST_JUMPS)),
        cloud_clock=cloud_clock_of(conn),
        abilities=tuple(noted_abilities(conn)),
        versions=(*_versions(), ("SQLite", sqlite_version())),
        taken={name: one for name, one in found.items() if one is not None},
    )


def day_plots(minutes: list[Minute], now: float, memory_bytes: int) -> tuple[Plot, ...]:
    """CPU, memory, temperature, power and latency over the last day; the last three only where there is something."""
    plots = [
        plot_of(_("CPU"), [(one.minute, one.cpu_share) for one in minutes], now, percent_words, 1.0),
        plot_of(
            _("Memory in use"), [(one.minute, one.memory_used_bytes) for one in minutes], now, size_words, memory_bytes
        ),
        plot_of(_("Reading a study"), [(one.minute, one.latency_ms) for one in minutes], now, latency_words),
        plot_of(_("Temperature"), [(one.minute, one.temperature_celsius) for one in minutes], now, _celsius),
        plot_of(_("Power"), [(one.minute, one.power_w) for one in minutes], now, _watts),
    ]
    return tuple(one for number, one in enumerate(plots) if number < 2 or one.lines)


def _celsius(value: float) -> str:
    return f"{value:.0f} °C"


def _watts(value: float) -> str:
    return f"{value:.1f} W"


@cache
def _cpu() -> str:
    return cpu_model()


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = [("Scanside", version("scanside")), ("Python", platform.python_version()), ("Linux", platform.release())]
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, _("not installed")))
    return tuple(found)
