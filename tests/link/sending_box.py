"""A box that sends over a line: an outbox to fill and the cloud's lanes as the configuration makes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.lane import Lane
from appliance.settings import Cloud
from appliance.uplink import build_lanes
from store_forward import outbox
from store_forward.cloud.settings import CloudSettings
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest
from tests.link.line import CLOUD_ADDRESS, Line
from tests.small_box import SmallBox
from tests.unit.store_forward.running_cloud import TOKEN, running


@contextmanager
def endpoint(line: Line, settings: CloudSettings) -> Iterator[int]:
    """The cloud's endpoint at its end of the line, this thread at the box's; gives the port."""
    with line.at(line.cloud):
        serving = running(settings, CLOUD_ADDRESS)
        port = serving.__enter__()
    with line.at(line.box):
        try:
            yield port
        finally:
            serving.__exit__(None, None, None)


def ask(box: SmallBox, contents: list[tuple[int, bytes]]) -> None:
    """Deliveries to the cloud, each with its priority, in one transaction; due in this order."""
    kept = [(priority, box.spool.keep_bytes(content)) for priority, content in contents]
    with writing(box.engine) as connection:
        for number, (priority, stored) in enumerate(kept):
            what = (str(number), str(number), 1, "result", "cloud", priority)
            request = DeliveryRequest(*what, stored.digest, stored.size_bytes, "application/zip")
            outbox.enqueue(connection, request, float(number))


@contextmanager
def sending(box: SmallBox, port: int, **cloud: float) -> Iterator[None]:
    """The upload lanes, at work."""
    settings = Cloud.model_validate({"url": f"http://127.0.0.1:{port}", **cloud})
    settings = settings.model_copy(update={"url": f"http://{CLOUD_ADDRESS}:{port}"})  # plain, which a box refuses
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
            thread.join(60.0)


def wait_until_delivered(box: SmallBox, number: int, give_up_s: float) -> None:
    """Until so many deliveries have their receipt."""
    give_up = time.monotonic() + give_up_s
    while (done := _delivered(box)) < number:
        assert time.monotonic() < give_up, f"only {done} of {number} have got there"
        time.sleep(0.05)


def _delivered(box: SmallBox) -> int:
    with reading(box.engine) as connection:
        return sum(one.count for one in outbox.depth(connection) if one.state == "delivered")
