"""Uploads over links that are slow, far away or cut again and again.

``SCANSIDE_UPLOAD_MB=200`` sends more; ``pytest -s`` shows the figures.
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

import pytest

from store_forward.errors import DeliveryDeferred
from store_forward.protocol import Receipt
from store_forward.spool import Spool, StoredObject
from store_forward.uplink import CloudLink
from tests.shaped_link import ShapedLink
from tests.unit.store_forward.running_cloud import TOKEN, running, settings_at

SIZE_BYTES = int(os.environ.get("SCANSIDE_UPLOAD_MB", "20")) * 1_000_000
CUTS = 30


def cloud_link(port: int) -> CloudLink:
    """A link as the default configuration makes it."""
    return CloudLink(f"http://127.0.0.1:{port}", TOKEN, "box-1", 262_144, 20.0, largest_chunk_bytes=8_388_608)


def send(link: CloudLink, spool: Spool, stored: StoredObject) -> tuple[Receipt, int]:
    """Attempt after attempt until there is a receipt; with the number of attempts."""
    for attempt in range(1, CUTS + 2):
        try:
            path = spool.path(stored.digest)
            receipt = link.deliver(path, stored.digest, stored.size_bytes, "application/zip", 1, lambda: False)
        except DeliveryDeferred as deferred:
            assert deferred.cause in ("cloud_unreachable", "upload_busy", "offset_conflict")
        else:
            return receipt, attempt
    raise AssertionError("more attempts than cuts")


@pytest.mark.timeout(900)
def test_thirty_cuts_cost_next_to_nothing(tmp_path: Path) -> None:
    """32 Mbit/s, cut thirty times: at most a twentieth of the payload is sent twice, headers included."""
    spool = Spool(tmp_path / "spool", 0)
    stored = spool.keep_bytes(random.Random(5).randbytes(SIZE_BYTES))
    cuts = sorted(random.Random(6).sample(range(SIZE_BYTES // 100, SIZE_BYTES), CUTS))
    shaped = ShapedLink(0, bytes_per_s=4_000_000.0, cuts=cuts)
    settings = settings_at(tmp_path / "cloud")
    with running(settings) as shaped.port, shaped.listening() as port:
        link = cloud_link(port)
        receipt, attempts = send(link, spool, stored)
        link.close()
    told = f"{CUTS} cuts, {attempts} attempts, {shaped.sent_bytes / SIZE_BYTES:.4f} x {SIZE_BYTES} bytes"
    sys.stdout.write(told + "\n")
    assert receipt.digest == stored.digest
    assert shaped.cuts_made == CUTS
    assert shaped.sent_bytes <= 1.05 * SIZE_BYTES
    assert Spool(settings.spool, 0).verify(stored.digest)


def test_a_thin_and_distant_link(tmp_path: Path) -> None:
    """64 kbit/s and 800 ms: 100 kB get there in one attempt, in about the time the bytes need."""
    spool = Spool(tmp_path / "spool", 0)
    stored = spool.keep_bytes(random.Random(7).randbytes(100_000))
    shaped = ShapedLink(0, bytes_per_s=8000.0, round_trip_s=0.8)
    with running(settings_at(tmp_path / "cloud")) as shaped.port, shaped.listening() as port:
        link = cloud_link(port)
        began = time.monotonic()
        receipt, attempts = send(link, spool, stored)
        took_s = time.monotonic() - began
        link.close()
    sys.stdout.write(f"{attempts} attempts, {took_s:.1f} s, {shaped.sent_bytes} bytes\n")
    assert receipt.digest == stored.digest
    assert attempts == 1
    assert shaped.sent_bytes <= 1.05 * 100_000
    assert took_s <= 30.0
