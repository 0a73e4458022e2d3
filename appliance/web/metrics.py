"""``/metrics`` for Prometheus: read from the box's rows when it is asked for, in the format its Accept header names."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.disk.autonomy import autonomy
from appliance.disk.days import day_of, recorded_days
from appliance.disk.tables import disk_days, quarantined
from appliance.machine.cloud_clock import cloud_clock_of
from appliance.schema import studies
from appliance.web.box import device_views, process_views, storage
from appliance.web.deliveries import destination_views
from appliance.web.metric_words import METRICS
from appliance.web.people import Role
from appliance.web.site import Site
from appliance.web.tallies import Tallies
from hardware.clock import clock_state
from hardware.readings import process_reading, temperatures
from store_forward.database import reading, sqlite_version
from store_forward.room import Room

_DAY_S = 86_400.0
_WORDS = {one.name: one for one in METRICS}

#: Labels in the order of the metric, and the value; for info the labels' values alone.
Samples = Iterator[tuple[str, tuple[str, ...], float]]


def metrics_routes(site: Site) -> list[Route]:
    """The one path that Prometheus scrapes."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoxCollector(site))

    def metrics(request: Request) -> Response:
        """Everything now. Raises sqlalchemy.exc.DatabaseError."""
        site.person(request, Role.MONITOR)
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": media_type})

    return [Route("/metrics", metrics)]


class BoxCollector(Collector):
    """Reads the box anew for every scrape; only the counts of histories are kept between two."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tallies = Tallies()

    def collect(self) -> Iterator[Metric]:
        """Every family that has a sample."""
        site, families = self._site, dict[str, Metric]()
        with reading(site.engine) as conn:
            for name, labels, value in (*_of_rows(conn, self._tallies), *_of_box(conn, site), *_of_machine()):
                family = families.setdefault(name, _family(name))
                family.add_sample(*_named(name, labels, value))
        yield _build()
        yield from (families[one.name] for one in METRICS if one.name in families)


def _family(name: str) -> Metric:
    kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "info": InfoMetricFamily}
    words = _WORDS[name]
    family: Metric = kinds[words.kind](name, words.help)
    return family


def _named(name: str, labels: tuple[str, ...], value: float) -> tuple[str, dict[str, str], float]:
    words = _WORDS[name]
    ending = {"gauge": "", "counter": "_total", "info": "_info"}[words.kind]
    return name + ending, dict(zip(words.labels, labels, strict=True)), value


def _build() -> Metric:
    made = InfoMetricFamily("scanside_build", _WORDS["scanside_build"].help)
    made.add_metric(
        (), {"version": version("scanside"), "python": platform.python_version(), "sqlite": sqlite_version()}
    )
    return made


def _of_rows(conn: Connection, tallies: Tallies) -> Samples:
    c = studies.c
    for state, number in conn.execute(select(c.state, func.count()).group_by(c.state)):
        yield "scanside_studies", (state,), number
    counted = tallies.up_to_now(conn)
    for decision, number in counted["decisions"].items():
        yield "scanside_decisions", (decision,), number
    for event, number in counted["study_events"].items():
        yield "scanside_study_events", (event,), number
    for state, number in counted["delivery_transitions"].items():
        yield "scanside_delivery_transitions", (state,), number
    yield "scanside_instances", (), counted["instances"].get("", 0)
    yield "scanside_set_aside", (), counted["set_aside"].get("", 0)
    d = disk_days.c
    for name in ("received_bytes", "made_bytes", "deleted_bytes"):
        yield f"scanside_{name}", (), conn.scalar(select(func.sum(d[name]))) or 0
    lost = select(func.count()).select_from(quarantined).where(quarantined.c.mended_at.is_(None))
    yield "scanside_files_lost", (), conn.scalar(lost) or 0


def _of_box(conn: Connection, site: Site) -> Samples:
    now = site.clock()
    yield from _of_links(conn, site)
    if (cloud := cloud_clock_of(conn)) is not None:
        yield "scanside_cloud_clock_ahead_seconds", (), cloud.ahead_s
    for one in process_views(conn, now):
        yield "scanside_process_up", (one.name,), not one.silent
        yield "scanside_process_beat_timestamp_seconds", (one.name,), one.beat_at
        yield "scanside_process_start_timestamp_seconds", (one.name,), one.started_at
        yield "scanside_process_restarts", (one.name,), one.restarts
        taken = process_reading(one.pid, one.started_at)
        if taken is not None and not one.silent:
            yield "scanside_process_resident_memory_bytes", (one.name,), taken.memory_bytes
            yield "scanside_process_cpu_seconds", (one.name,), taken.cpu_s
    around = site.watch.surroundings()
    for pack in around.packs:
        yield "scanside_pack", (pack.name, pack.version, pack.digest), 1
    yield "scanside_packs_refused", (), len(around.rejected)
    for device in device_views(conn, around.packs):
        if device.latency_ms is not None:
            chosen = "yes" if device.chosen else "no"
            yield "scanside_pack_latency_seconds", (device.pack, device.device, chosen), device.latency_ms / 1000
    disk = storage(conn, site.settings, site.spool)
    yield "scanside_disk_total_bytes", (), disk.total_bytes
    yield "scanside_disk_free_bytes", (), disk.free_bytes
    yield "scanside_disk_floor_bytes", (), disk.floor_bytes
    yield "scanside_disk_reception_stopped", (), disk.room == Room.FULL.word
    alone = autonomy(recorded_days(conn, now), day_of(now), disk.free_bytes, disk.floor_bytes).alone_days
    if alone is not None:
        yield "scanside_autonomy_seconds", (), alone * _DAY_S


def _of_links(conn: Connection, site: Site) -> Samples:
    for link in destination_views(conn, site.settings):
        for state in ("waiting", "leased", "parked"):
            yield "scanside_deliveries", (link.name, state), getattr(link, state)
        if link.oldest_at is not None:
            yield "scanside_delivery_oldest_timestamp_seconds", (link.name,), link.oldest_at
        if link.state != "unknown":
            yield "scanside_link_up", (link.name,), link.state == "up"
        if link.last_ok_at is not None:
            yield "scanside_link_last_success_timestamp_seconds", (link.name,), link.last_ok_at


def _of_machine() -> Samples:
    memory, warm, clock = psutil.virtual_memory(), temperatures(), clock_state()
    yield "scanside_memory_total_bytes", (), memory.total
    yield "scanside_memory_available_bytes", (), memory.available
    if warm:
        yield "scanside_temperature_celsius", (), max(one.celsius for one in warm)
    if clock.synchronised is not None:
        yield "scanside_clock_synchronised", (), clock.synchronised
    if clock.offset_s is not None:
        yield "scanside_clock_offset_seconds", (), clock.offset_s
