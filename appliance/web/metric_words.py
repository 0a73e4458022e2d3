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


METRICS: Final = tuple(
    Metric(f"scanside_{name}", kind, words, labels)
    for name, kind, words, labels in (
        ("build", "info", "versions of the product, Python and SQLite", ()),
        ("studies", "gauge", "studies by state", ("state",)),
        ("instances", "counter", "instances taken in", ()),
        ("received_bytes", "counter", "bytes taken in", ()),
        ("made_bytes", "counter", "bytes of results and archives made", ()),
        ("deleted_bytes", "counter", "bytes deleted by retention", ()),
        ("decisions", "counter", "decisions of the box; a study that is read again counts again", ("decision",)),
        ("study_events", "counter", "rows of the studies' histories, by event", ("event",)),
        ("delivery_transitions", "counter", "transitions of deliveries, by the state they led to", ("state",)),
        ("deliveries", "gauge", "deliveries by destination and state", ("destination", "state")),
        (
            "delivery_oldest_timestamp_seconds", "gauge",
            "when the oldest delivery that has not arrived was asked for", ("destination",),
        ),
        ("link_up", "gauge", "1 while the last contact went well, 0 when it failed; absent before the first",
         ("destination",)),
        ("link_last_success_timestamp_seconds", "gauge", "when a contact last went well", ("destination",)),
        ("set_aside", "counter", "what was kept but not taken in", ()),
        ("files_lost", "gauge", "files found missing or damaged and not mended", ()),
        ("process_up", "gauge", "1 while the process reports", ("process",)),
        ("process_beat_timestamp_seconds", "gauge", "when the process last reported", ("process",)),
        ("process_start_timestamp_seconds", "gauge", "when the process started", ("process",)),
        ("process_restarts", "gauge", "how often it was started again since the box was", ("process",)),
        ("process_resident_memory_bytes", "gauge", "its resident memory", ("process",)),
        ("process_cpu_seconds", "counter", "CPU time since its start", ("process",)),
        ("pack", "info", "the packs that read here", ("pack", "version", "digest")),
        ("packs_refused", "gauge", "packs that were refused", ()),
        ("pack_latency_seconds", "gauge", "measured median of one run of the network", ("pack", "device", "chosen")),
        ("disk_total_bytes", "gauge", "the disk under the spool", ()),
        ("disk_free_bytes", "gauge", "free on it", ()),
        ("disk_floor_bytes", "gauge", "free space below which no image is taken in", ()),
        ("disk_reception_stopped", "gauge", "1 while no image is taken in for want of room", ()),
        ("autonomy_seconds", "gauge", "how long it can work without its links; absent while not known", ()),
        ("memory_total_bytes", "gauge", "the machine's memory", ()),
        ("memory_available_bytes", "gauge", "what programs could still take of it", ()),
        ("temperature_celsius", "gauge", "the warmest sensor; absent where there is none", ()),
        ("clock_synchronised", "gauge", "1 while a time service keeps the clock; absent where not known", ()),
        ("clock_offset_seconds", "gauge", "what the time service has still to correct", ()),
    )
)  # fmt: skip
