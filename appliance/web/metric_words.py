"""Every metric of ``/metrics``: its name, what it counts, its labels. The reference table is made from this.

Counters are sums over rows that are never deleted, so they go on where they were after any restart.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["gauge", "counter", "info"]


class Metric(NamedTuple):
    """One family of samples; its unit is the end of its name. A counter's samples end in ``_total``."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Metric("scanside_build", "info", "versions of the product, Python and SQLite"),
    Metric("scanside_studies", "gauge", "studies by state", ("state",)),
    Metric("scanside_instances", "counter", "instances taken in"),
    Metric("scanside_received_bytes", "counter", "bytes taken in"),
    Metric("scanside_made_bytes", "counter", "bytes of results and archives made"),
    Metric("scanside_deleted_bytes", "counter", "bytes deleted by retention"),
    Metric(
        "scanside_decisions", "counter", "decisions of the box; a study that is read again counts again", ("decision",)
    ),
    Metric("scanside_study_events", "counter", "rows of the studies' histories, by event", ("event",)),
    Metric(
        "scanside_delivery_transitions", "counter", "transitions of deliveries, by the state they led to", ("state",)
    ),
    Metric("scanside_deliveries", "gauge", "deliveries by destination and state", ("destination", "state")),
    Metric(
        "scanside_delivery_oldest_timestamp_seconds",
        "gauge",
        "when the oldest delivery that has not arrived was asked for",
        ("destination",),
    ),
    Metric(
        "scanside_link_up",
        "gauge",
        "1 while the last contact went well, 0 when it failed; absent before the first",
        ("destination",),
    ),
    Metric("scanside_link_last_success_timestamp_seconds", "gauge", "when a contact last went well", ("destination",)),
    Metric("scanside_set_aside", "counter", "what was kept but not taken in"),
    Metric("scanside_files_lost", "gauge", "files found missing or damaged and not mended"),
    Metric("scanside_process_up", "gauge", "1 while the process reports", ("process",)),
    Metric("scanside_process_beat_timestamp_seconds", "gauge", "when the process last reported", ("process",)),
    Metric("scanside_process_start_timestamp_seconds", "gauge", "when the process started", ("process",)),
    Metric("scanside_process_restarts", "gauge", "how often it was started again since the box was", ("process",)),
    Metric("scanside_process_resident_memory_bytes", "gauge", "its resident memory", ("process",)),
    Metric("scanside_process_cpu_seconds", "counter", "CPU time since its start", ("process",)),
    Metric("scanside_pack", "info", "the packs that read here", ("pack", "version", "digest")),
    Metric("scanside_packs_refused", "gauge", "packs that were refused"),
    Metric(
        "scanside_pack_latency_seconds",
        "gauge",
        "measured median of one run of the network",
        ("pack", "device", "chosen"),
    ),
    Metric("scanside_disk_total_bytes", "gauge", "the disk under the spool"),
    Metric("scanside_disk_free_bytes", "gauge", "free on it"),
    Metric("scanside_disk_floor_bytes", "gauge", "free space below which no image is taken in"),
    Metric("scanside_disk_reception_stopped", "gauge", "1 while no image is taken in for want of room"),
    Metric("scanside_autonomy_seconds", "gauge", "how long it can work without its links; absent while not known"),
    Metric("scanside_memory_total_bytes", "gauge", "the machine's memory"),
    Metric("scanside_memory_available_bytes", "gauge", "what programs could still take of it"),
    Metric("scanside_temperature_celsius", "gauge", "the warmest sensor; absent where there is none"),
    Metric("scanside_clock_synchronised", "gauge", "1 while a time service keeps the clock; absent where not known"),
    Metric("scanside_clock_offset_seconds", "gauge", "what the time service has still to correct"),
    Metric("scanside_cloud_clock_ahead_seconds", "gauge", "the cloud's clock less this box's, to about a second"),
)
