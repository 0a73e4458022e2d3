"""Several uploads over real links to a real endpoint: at once, under one cap, never beside something more urgent."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.lane import Lane
from appliance.settings import Cloud
from appliance.uplink import build_lanes
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import DeliveryRequest, deliveries, delivery_events
from tests.listening_box import wait_until
from tests.small_box import SmallBox
from tests.unit.store_forward.running_cloud import CHUNK_BYTES, TOKEN, CuttingProxy, running, settings_at


def enqueue(box: SmallBox, kind: str, priority: int, size_bytes: int) -> int:
    """A payload of random bytes for the cloud."""
    stored = box.spool.keep_bytes(random.Random(kind).randbytes(size_bytes))
    request = DeliveryRequest(
        kind, "1.2", 1, kind, "cloud", priority, stored.digest, stored.size_bytes, "application/zip"
    )
    with writing(box.engine) as connection:
        return outbox.enqueue(connection, request, 0.0)


@contextmanager
def uplink(box: SmallBox, port: int, **cloud: int) -> Iterator[None]:
    """The cloud's upload lanes as the configuration makes them, running."""
    settings = Cloud.model_validate({"url": f"http://127.0.0.1:{port}", "chunk_bytes": CHUNK_BYTES, **cloud})
    lanes = build_lanes(settings, TOKEN, (), "SCANSIDE", box.engine, box.spool)
    stop = threading.Event()
    threads = [threading.Thread(target=lane.run, args=(stop,)) for lane in lanes if isinstance(lane, Lane)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(20.0)


def all_delivered(box: SmallBox) -> bool:
    """Whether nothing is left."""
    return {row.state for row in box.rows(deliveries)} == {"delivered"}


def spans(box: SmallBox) -> dict[int, tuple[float, float]]:
    """When the first attempt at each delivery began, and when it was delivered."""
    found: dict[int, tuple[float, float]] = {}
    for event in box.rows(delivery_events):
        if event.state_to == "leased":
            found.setdefault(event.delivery_id, (event.at, 0.0))
        elif event.state_to == "delivered":
            found[event.delivery_id] = (found[event.delivery_id][0], event.at)
    return found


@pytest.mark.parametrize(("at_once", "beside"), [(1, False), (2, True)])
def test_two_go_at_once_under_one_cap(tmp_path: Path, at_once: int, beside: bool) -> None:
    """With a cap of 2 Mbit/s for both, 2 x 250 kB take two seconds, not one, and neither waits for the other."""
    box = SmallBox(tmp_path / "box")
    numbers = [enqueue(box, kind, 1, 250_000) for kind in ("one", "two")]
    proxy = CuttingProxy(0, [])
    with running(settings_at(tmp_path / "cloud")) as proxy.port, proxy.listening() as port:
        began = time.monotonic()
        with uplink(box, port, max_uploads=at_once, most_kbit_per_s=2000):
            wait_until(lambda: all_delivered(box), "both")
        took_s = time.monotonic() - began
    (first, second) = (spans(box)[number] for number in numbers)
    assert (max(first[0], second[0]) < min(first[1], second[1])) is beside
    assert took_s >= 500_000 / 250_000 - 0.5  # what one burst may go ahead
    assert {row.attempts for row in box.rows(deliveries)} == {1}
    box.close()


def test_bulk_stops_on_every_connection_for_the_urgent(tmp_path: Path) -> None:
    """Two bulk uploads are under way; both give way, and neither goes on before the urgent one has arrived."""
    box = SmallBox(tmp_path / "box")
    bulk = [enqueue(box, kind, 3, 1_000_000) for kind in ("one", "two")]
    with running(settings_at(tmp_path / "cloud")) as port, uplink(box, port, most_kbit_per_s=4000):
        wait_until(lambda: [row.state for row in box.rows(deliveries)] == ["leased"] * 2, "both to be under way")
        urgent = enqueue(box, "urgent", 0, 500_000)
        wait_until(lambda: all_delivered(box), "all three")
    events = [event for event in box.rows(delivery_events)]
    arrived = next(event.id for event in events if event.delivery_id == urgent and event.state_to == "delivered")
    for number in bulk:
        own = [event for event in events if event.delivery_id == number]
        assert "gave_way" in [event.cause for event in own]
        assert min(event.id for event in own if event.cause == "gave_way") < arrived
        assert max(event.id for event in own if event.state_to == "leased") > arrived
    box.close()
