"""Uploads over a line that is slow, far away, lossy or down: bytes on the interface, order, speed.

``pytest -s`` shows the figures. Nothing here holds when the machine is too busy to keep up with the line.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from store_forward.cloud.cases import cases
from store_forward.database import open_database, reading
from store_forward.errors import DeliveryDeferred
from store_forward.outbox import deliveries, delivery_events
from store_forward.protocol import Receipt
from store_forward.spool import Spool, StoredObject
from store_forward.uplink import CloudLink
from tests.link.line import CLOUD_ADDRESS, Line, shaped
from tests.link.sending_box import ask, endpoint, sending, wait_until_delivered
from tests.small_box import SmallBox
from tests.unit.store_forward.running_cloud import TOKEN, settings_at

pytestmark = [pytest.mark.link, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]
MB = 1_000_000
CUTS = 30


class Cutter:
    """Cuts the line at each of these counts of bytes on the interface; whoever notices a cut has it mended."""

    def __init__(self, line: Line, at: list[int]) -> None:
        self.made = 0
        self._line = line
        self._at = at
        self._down = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def noticed(self) -> None:
        """The far side cannot be reached: so it is, or was."""
        if self._down.is_set():
            self._line.mend()
            self._down.clear()

    def end(self) -> None:
        """No more cuts."""
        self._stop.set()
        self._thread.join(20.0)

    def _watch(self) -> None:
        while self._at and not self._stop.wait(0.05):
            if not self._down.is_set() and self._line.sent_bytes >= self._at[0]:
                self._line.cut()
                self._down.set()
                self._at.pop(0)
                self.made += 1


def send_through(cutter: Cutter, link: CloudLink, spool: Spool, stored: StoredObject) -> tuple[Receipt, int]:
    """Attempt after attempt until there is a receipt; with the number of attempts."""
    for attempt in range(1, 10 * CUTS):
        try:
            path = spool.path(stored.digest)
            receipt = link.deliver(path, stored.digest, stored.size_bytes, "application/zip", 1, lambda: False)
        except DeliveryDeferred as deferred:
            assert deferred.cause in ("cloud_unreachable", "upload_busy", "offset_conflict")
            cutter.noticed()
        else:
            return receipt, attempt
    raise AssertionError("the upload does not get on")


@pytest.mark.timeout(3600)
def test_thirty_cuts_in_one_upload(tmp_path: Path) -> None:
    """200 MB, the interface down thirty times, each until the box has noticed: at most 1.05 x the size is sent."""
    size_bytes = 200 * MB
    spool = Spool(tmp_path / "spool", 0)
    stored = spool.keep_bytes(random.Random(5).randbytes(size_bytes))
    settings = settings_at(tmp_path / "cloud", silence_s=2.0)
    cuts = sorted(random.Random(6).sample(range(size_bytes // 100, size_bytes), CUTS))
    with shaped("40mbit", 0.02) as line, endpoint(line, settings) as port:
        link = CloudLink(f"http://{CLOUD_ADDRESS}:{port}", TOKEN, "box-1", 262_144, 3.0, largest_chunk_bytes=8_388_608)
        cutter = Cutter(line, cuts)
        try:
            receipt, attempts = send_through(cutter, link, spool, stored)
        finally:
            cutter.end()
            link.close()
        sent_bytes = line.sent_bytes
    told = f"{sent_bytes / size_bytes:.4f} x {size_bytes} bytes on the interface"
    sys.stdout.write(f"{cutter.made} cuts, {attempts} attempts, {told}\n")
    assert receipt.digest == stored.digest
    assert cutter.made == CUTS
    assert Spool(settings.spool, 0).verify(stored.digest)
    assert sent_bytes <= 1.05 * size_bytes


@pytest.mark.timeout(900)
def test_a_queue_drains_at_the_link_s_speed(tmp_path: Path) -> None:
    """10 Mbit/s and 100 ms: twelve escalations of 2 MB, a radiograph each, take 85 % of the link's capacity or more."""
    rng = random.Random(7)
    contents = [(1, rng.randbytes(2 * MB)) for _ in range(12)]
    box = SmallBox(tmp_path / "box")
    ask(box, contents)
    with shaped("10mbit", 0.1) as line, endpoint(line, settings_at(tmp_path / "cloud")) as port:
        began = time.monotonic()
        with sending(box, port):
            wait_until_delivered(box, len(contents), 600.0)
            took_s = time.monotonic() - began
        sent_bytes = line.sent_bytes
    useful_bytes = sum(len(content) for _, content in contents)
    share, filled = (8 * bytes_ / took_s / 10e6 for bytes_ in (useful_bytes, sent_bytes))
    told = f"{share:.1%} of 10 Mbit/s, {filled:.1%} with headers"
    sys.stdout.write(f"{useful_bytes / MB:.0f} MB in {took_s:.1f} s: {told}\n")
    box.close()
    assert share >= 0.85


@pytest.mark.timeout(3600)
def test_ten_thousand_go_in_the_order_of_their_priority(tmp_path: Path) -> None:
    """After a long outage: each once, no less urgent one begun while a more urgent one waits, oldest first."""
    rng = random.Random(8)
    contents = [(rng.choice((0, 1, 2, 3)), rng.randbytes(500)) for _ in range(10_000)]
    box = SmallBox(tmp_path / "box")
    ask(box, contents)
    settings = settings_at(tmp_path / "cloud")
    with shaped("100mbit", 0.002) as line, endpoint(line, settings) as port:
        began = time.monotonic()
        with sending(box, port, max_uploads=4):
            wait_until_delivered(box, len(contents), 3000.0)
        sys.stdout.write(f"10000 in {time.monotonic() - began:.0f} s\n")
    asked = {row.id: row for row in box.rows(deliveries)}
    leased = [event.delivery_id for event in box.rows(delivery_events) if event.state_to == "leased"]
    assert leased == sorted(asked, key=lambda one: (asked[one].priority, one))
    far = open_database(settings.database)
    with reading(far) as connection:
        held = list(connection.execute(select(cases.c.digest)).scalars())
    far.dispose()
    assert sorted(held) == sorted(row.payload for row in asked.values())
    box.close()


@pytest.mark.timeout(1800)
def test_an_escalation_gets_through_a_thin_and_lossy_link(tmp_path: Path) -> None:
    """64 kbit/s, 800 ms, a fifth of the packets lost each way: 20 kB and its receipt, by the lane as configured."""
    box = SmallBox(tmp_path / "box")
    ask(box, [(0, random.Random(9).randbytes(20_000))])
    with shaped("64kbit", 0.8, loss=0.2) as line, endpoint(line, settings_at(tmp_path / "cloud")) as port:
        began = time.monotonic()
        with sending(box, port):
            wait_until_delivered(box, 1, 1500.0)
            took_s = time.monotonic() - began
        sent_bytes = line.sent_bytes
    (row,) = box.rows(deliveries)
    sys.stdout.write(f"20 kB in {took_s:.0f} s, {row.attempts} attempts, {sent_bytes} bytes sent\n")
    box.close()
