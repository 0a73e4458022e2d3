"""A full outbox costs no more than an empty one. SCANSIDE_ROWS=1000000 makes it fuller; ``pytest -s`` shows figures."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest
from sqlalchemy import Engine, text

from appliance.settings import Settings
from appliance.web.deliveries import destination_views, parked_deliveries
from store_forward import outbox
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.outbox import Delivery, DeliveryRequest
from store_forward.selection import Selection, first

FEW, MANY = 1000, int(os.environ.get("SCANSIDE_ROWS", "100000"))
ROUNDS = 150
MOST = 1.5
SLACK_MS = 0.05
"""Below this a difference is not told from noise."""

NOW = 1_780_000_000.0
SETTINGS = Settings.model_validate(
    {
        "cloud": {"url": "http://127.0.0.1:9"},
        "pacs": [{"name": name, "host": "127.0.0.1", "port": 1, "ae_title": "A"} for name in ("archive", "ward")],
    }
)
COLUMNS = ("id", "state", "priority", "kind", "destination", "next_at", "cause")

#: Of a thousand: what has settled long ago, what failed and waits, what is due, what is parked.
DRAINED = "CASE WHEN n % 1000 < 940 THEN 'delivered' WHEN n % 1000 < 990 THEN 'waiting' ELSE 'parked' END"
#: A link that has been down for weeks: nothing has been delivered, nearly nothing is due.
DOWN = "'waiting'"

FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
INSERT INTO deliveries (key, subject, revision, kind, destination, priority, payload, size_bytes, content_type,
  attributes, state, attempts, failures, next_at, receipt, cause, created_at, settled_at)
SELECT 'key ' || hex(randomblob(16)), '1.2.' || (n / 4), 1, 'report',
  CASE n % 3 WHEN 0 THEN 'cloud' WHEN 1 THEN 'archive' ELSE 'ward' END, (n / 3) % 4, hex(randomblob(32)), 1000, 'a/b',
  '{}', STATE, 1, 1, CASE WHEN n % 200 = 0 THEN :now - 10 ELSE :now + 3600 END,
  CASE WHEN STATE = 'delivered' THEN 'receipt' END, 'cloud_unreachable', :now - n, :now
FROM numbers
"""
EVENTS = """
INSERT INTO delivery_events (delivery_id, at, state_from, state_to)
SELECT id, created_at, NULL, 'waiting' FROM deliveries UNION ALL
SELECT id, created_at + 1, 'waiting', 'leased' FROM deliveries UNION ALL
SELECT id, created_at + 2, 'leased', state FROM deliveries
"""


class Work:
    """One step after another on one delivery, as lanes do them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.held: Delivery | None = None
        self._numbers = itertools.count()

    def enqueue(self) -> None:
        """What a decision does."""
        name = f"new {next(self._numbers)}"
        request = DeliveryRequest(name, name, 1, "report", "cloud", 0, "a" * 64, 1000, "a/b")
        with writing(self.engine) as connection:
            outbox.enqueue(connection, request, NOW)

    def any_due(self) -> None:
        """What an idle lane asks five times a second."""
        with reading(self.engine) as connection:
            assert outbox.any_due(connection, "cloud", NOW)

    def nothing_more_urgent(self) -> None:
        """What an upload asks between two chunks."""
        with reading(self.engine) as connection:
            assert not outbox.any_due(connection, "cloud", NOW - 20, least_urgent=2)

    def lease(self) -> None:
        """The attempt begins."""
        with writing(self.engine) as connection:
            self.held = outbox.lease(connection, "cloud", "me", NOW, 60.0)

    def settle(self) -> None:
        """It has arrived."""
        assert self.held is not None
        with writing(self.engine) as connection:
            outbox.delivered(connection, self.held, "receipt", NOW)

    def listing(self) -> None:
        """``scanside outbox list``."""
        with reading(self.engine) as connection:
            assert len(first(connection, Selection(), 100, COLUMNS)) == 100

    def depth(self) -> None:
        """How much stands where."""
        with reading(self.engine) as connection:
            assert outbox.depth(connection)

    def page(self) -> None:
        """What the status page asks of the outbox."""
        with reading(self.engine) as connection:
            views = destination_views(connection, SETTINGS)
            parked_deliveries(connection, [view.name for view in views])


STEPS = ("enqueue", "any_due", "nothing_more_urgent", "lease", "settle", "listing", "depth", "page")


@pytest.fixture(params=[DRAINED, DOWN], ids=["drained", "link down"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Work, Work]]:
    """Two boxes that differ in how many deliveries they have seen."""
    works = []
    for rows in (FEW, MANY):
        engine = open_database(tmp_path / str(rows) / "box.sqlite")
        create_schema(engine)
        with writing(engine) as connection:
            connection.execute(text(FILL.replace("STATE", request.param)), {"rows": rows, "now": NOW})
            connection.execute(text(EVENTS))
        works.append(Work(engine))
    yield works[0], works[1]
    for work in works:
        work.engine.dispose()


def quick(times: list[float]) -> float:
    """The lower quartile."""
    return quantiles(times, n=4)[0]


@pytest.mark.timeout(900)
def test_a_full_outbox_costs_no_more(filled: tuple[Work, Work]) -> None:
    """Step by step on both in turn, in the processor's time, which does not count what other programs take.

    The quickest quarter is compared: what else the machine does only ever makes a step slower.
    """
    took: dict[str, tuple[list[float], list[float]]] = {step: ([], []) for step in STEPS}
    for number in range(ROUNDS):
        for step in STEPS:
            pairs = list(zip(filled, took[step], strict=True))
            for work, times in pairs if number % 2 else reversed(pairs):
                began = time.thread_time()
                getattr(work, step)()
                times.append((time.thread_time() - began) * 1000)
    quickest = {step: (quick(few), quick(many)) for step, (few, many) in took.items()}
    for step, (few, many) in quickest.items():
        sys.stdout.write(f"{step:<20} {few:7.3f} ms at {FEW}, {many:7.3f} ms at {MANY}: {many / few:.2f} x\n")
    assert {step: times for step, times in quickest.items() if times[1] > MOST * times[0] + SLACK_MS} == {}
