"""Whatever arrives whenever: nothing waits for more than one chunk of something less urgent, and all of it arrives."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.lane import Lane
from store_forward import outbox
from store_forward.database import writing
from store_forward.errors import DeliveryDeferred
from store_forward.outbox import Delivery, DeliveryRequest, deliveries
from tests.small_box import SmallBox

Arrivals = dict[int, list[tuple[int, int]]]
ITEMS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=3)
"""Priority and number of chunks of what arrives at one moment."""


class Wire:
    """Counts chunks; before the n-th, what arrives at n is put into the outbox."""

    def __init__(self, box: SmallBox, arrivals: Arrivals) -> None:
        self.sent: list[int] = []
        self.arrived_at: dict[int, int] = {}
        self._box = box
        self._arrivals = dict(arrivals)
        self._left: dict[int, int] = {}
        self.arrive(0)

    def arrive(self, moment: int) -> None:
        """Put into the outbox what arrives at ``moment``."""
        for priority, chunks in self._arrivals.pop(moment, []):
            name = f"{moment}-{len(self._left)}"
            stored = self._box.spool.keep_bytes(name.encode())
            request = DeliveryRequest(
                name, "1.2", 1, name, "cloud", priority, stored.digest, stored.size_bytes, "a/b"
            )  # fmt: skip
            with writing(self._box.engine) as connection:
                number = outbox.enqueue(connection, request, 0.0)
            self._left[number] = chunks
            self.arrived_at[number] = moment

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Send chunk by chunk, going on where an earlier attempt ended."""
        while self._left[delivery.id]:
            if stop():
                raise DeliveryDeferred("stopped", "between two chunks")
            self.sent.append(delivery.id)
            self._left[delivery.id] -= 1
            self.arrive(len(self.sent))  # while this very chunk is on its way
        return "receipt"


@settings(max_examples=25)
@given(st.dictionaries(st.integers(0, 12), ITEMS, min_size=1, max_size=4))
def test_the_urgent_wait_for_one_chunk_at_most(arrivals: Arrivals) -> None:
    """Between an arrival and its last chunk nothing less urgent is sent but the chunk that was on its way."""
    with tempfile.TemporaryDirectory() as folder:
        box = SmallBox(Path(folder))
        wire = Wire(box, {0: [(3, 4)], **arrivals})
        lane = Lane("cloud", "cloud", wire, box.engine, box.spool, 300.0)
        while lane.step(lambda: False):
            pass
        priority = {row.id: row.priority for row in box.rows(deliveries)}
        assert {row.state for row in box.rows(deliveries)} == {"delivered"}
        box.close()
    for number, arrived_at in wire.arrived_at.items():
        last = max(place for place, sent in enumerate(wire.sent) if sent == number)
        meanwhile = wire.sent[arrived_at:last]
        assert [other for other in meanwhile if priority[other] > priority[number]] == []
