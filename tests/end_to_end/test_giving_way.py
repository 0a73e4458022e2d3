"""Over a real link to a real endpoint: an urgent delivery overtakes a large one, and next to nothing is sent twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from appliance.lane import Lane
from appliance.uplink import CloudCarrier
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import Delivery, DeliveryRequest, deliveries, delivery_events
from store_forward.uplink import CloudLink
from tests.small_box import SmallBox
from tests.unit.store_forward.running_cloud import CHUNK_BYTES, TOKEN, CuttingProxy, running, settings_at

BULK_BYTES = 128 * CHUNK_BYTES + 77
URGENT_BYTES = 3 * CHUNK_BYTES
CHUNKS_BEFORE = 50
HEADER_BYTES = 700
"""More than request line and headers of one request."""


def enqueue(box: SmallBox, kind: str, priority: int, size_bytes: int) -> int:
    """A payload of random bytes for the cloud."""
    stored = box.spool.keep_bytes(random.Random(kind).randbytes(size_bytes))
    request = DeliveryRequest(
        kind, "1.2", 1, kind, "cloud", priority, stored.digest, stored.size_bytes, "application/zip"
    )
    with writing(box.engine) as connection:
        return outbox.enqueue(connection, request, 0.0)


class Noting:
    """The cloud's carrier; asks for an urgent delivery while the chunk before the n-th question is on its way."""

    def __init__(self, box: SmallBox, link: CloudLink, proxy: CuttingProxy) -> None:
        self.began: list[tuple[str, int]] = []
        self._box = box
        self._carrier = CloudCarrier(link)
        self._proxy = proxy
        self._asked = 0

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Note what goes and how many bytes had gone by then."""
        self.began.append((delivery.kind, self._proxy.sent_bytes))

        def asked() -> bool:
            self._asked += 1
            if self._asked == CHUNKS_BEFORE + 1:
                enqueue(self._box, "urgent", 0, URGENT_BYTES)
            return stop()

        return self._carrier.carry(path, delivery, asked)


def test_the_urgent_overtakes_the_large(tmp_path: Path) -> None:
    """Order: bulk, urgent, bulk. Bytes: both payloads, at most one chunk more, and headers."""
    box = SmallBox(tmp_path / "box")
    bulk = enqueue(box, "bulk", 3, BULK_BYTES)
    proxy = CuttingProxy(0, [])
    with running(settings_at(tmp_path / "cloud")) as proxy.port, proxy.listening() as port:
        link = CloudLink(f"http://127.0.0.1:{port}", TOKEN, "box-1", CHUNK_BYTES, timeout_s=20.0)
        carrier = Noting(box, link, proxy)
        lane = Lane("cloud", "cloud", carrier, box.engine, box.spool, 300.0)
        while lane.step(lambda: False):
            pass
        link.close()
    requests = 3 + 128 + 1 + 3  # what begins or resumes, and the chunks
    most = BULK_BYTES + URGENT_BYTES + CHUNK_BYTES + requests * HEADER_BYTES
    assert [kind for kind, _ in carrier.began] == ["bulk", "urgent", "bulk"]
    assert carrier.began[1][1] <= (CHUNKS_BEFORE + 1) * (CHUNK_BYTES + HEADER_BYTES)
    assert BULK_BYTES + URGENT_BYTES <= proxy.sent_bytes <= most
    assert {row.state for row in box.rows(deliveries)} == {"delivered"}
    causes = [event.cause for event in box.rows(delivery_events) if event.delivery_id == bulk]
    assert causes == [None, None, "gave_way", None, None]
    box.close()
