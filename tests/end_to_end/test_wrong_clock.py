"""Thirty days without a link, under a clock that jumps ten years ahead and back, with three restarts: all drains.

Real outbox, lanes, endpoint and archive; only the clock of the machine is the test's, and it is moved by hours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from appliance.demo.archive import Archive
from appliance.demo.link import Link
from appliance.home import Home, open_home
from appliance.lane import Lane
from appliance.schema import answers
from appliance.settings import Cloud, Pacs, Settings
from appliance.uplink import AnswerLane, build_lanes
from store_forward import outbox
from store_forward.cloud import cases
from store_forward.cloud.settings import CloudSettings
from store_forward.database import open_database, reading, writing
from store_forward.outbox import DeliveryRequest, deliveries
from store_forward.protocol import Verdict
from store_forward.spool import Spool
from tests.dicom_factory import as_bytes
from tests.small_box import NOW, image
from tests.unit.store_forward.running_cloud import TOKEN, running, settings_at

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_TEN_YEARS_S = 3652 * _DAY_S
#: Day of the outage → what happens then.
_JUMPS = {5: _TEN_YEARS_S, 9: -_TEN_YEARS_S, 13: -_TEN_YEARS_S, 17: _TEN_YEARS_S}
_RESTARTS = (3, 7, 15)


@dataclass
class Clock:
    """What the machine believes the time is, epoch seconds."""

    now: float = NOW

    def __call__(self) -> float:
        """As ``time.time``."""
        return self.now


@dataclass
class Box:
    """An uplink that is stepped by hand, in a home that outlives it."""

    settings: Settings
    clock: Clock
    asked: dict[str, str] = field(default_factory=dict)  # payload → destination

    def start(self) -> None:
        """As the uplink process does."""
        self.home: Home = open_home(self.settings)
        with writing(self.home.engine) as connection:
            for destination in ("cloud", "archive"):
                outbox.take_back(connection, destination, self.clock())
        own = self.settings
        self.lanes = build_lanes(own.cloud, TOKEN, own.pacs, own.dicom.ae_title, self.home.engine, self.home.spool)

    def die(self) -> None:
        """The power goes, in the middle of an attempt for every destination."""
        for destination in ("cloud", "archive"):
            self.die_in_an_attempt(destination)
        self.home.engine.dispose()

    def die_in_an_attempt(self, destination: str) -> None:
        """Somebody holds a lease and is never heard of again."""
        with writing(self.home.engine) as connection:
            outbox.lease(connection, destination, "the dead", self.clock(), 600.0)

    def ask(self, number: int) -> None:
        """One thing for the cloud and one for the archive."""
        for destination in ("cloud", "archive"):
            dataset = image(seed=f"{number} {destination}")
            stored = self.home.spool.keep_bytes(as_bytes(dataset))
            self.asked[stored.digest] = destination
            request = DeliveryRequest(
                key=stored.digest,
                subject=f"study {number}",
                revision=1,
                kind="escalation" if destination == "cloud" else "report",
                destination=destination,
                priority=number % 3,
                payload=stored.digest,
                size_bytes=stored.size_bytes,
                content_type="application/zip",
            )
            with writing(self.home.engine) as connection:
                outbox.enqueue(connection, request, self.clock())

    def work(self) -> None:
        """Everything that can be done at this moment."""
        for lane in self.lanes:
            if isinstance(lane, AnswerLane):
                lane.step(self.clock)
        for lane in self.lanes:
            while isinstance(lane, Lane) and lane.step(lambda: False):
                pass

    def undelivered(self, destination: str) -> int:
        """How many are still to be carried there."""
        of_it = select(deliveries.c.id).where(deliveries.c.destination == destination)
        with reading(self.home.engine) as connection:
            return len(connection.execute(of_it.where(deliveries.c.state != "delivered")).all())


@pytest.fixture
def archive() -> Iterator[Archive]:
    """A PACS that is there all the time."""
    archive = Archive()
    yield archive
    archive.close()


def _answer_everything(settings: CloudSettings, now: float) -> dict[str, str]:
    """What the analysis would do, without reading anything; digest → state of every case afterwards."""
    engine: Engine = open_database(settings.database)
    with writing(engine) as connection:
        while (case := cases.lease(connection)) is not None:
            cases.answer(connection, case, Verdict(decision="routine"), now)
        held = {row.digest: row.state for row in connection.execute(select(cases.cases))}
    engine.dispose()
    return held


@pytest.mark.timeout(600)
def test_thirty_days_with_a_wrong_clock_drain_completely(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive gets its things all the while; the cloud gets each once within an hour of the link's return."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    cloud = settings_at(tmp_path / "cloud")
    with running(cloud) as port:
        link = Link(port)
        link.cut()
        peer = Pacs(name="archive", host="127.0.0.1", port=archive.port, ae_title=archive.ae_title)
        far = Cloud(url=f"http://127.0.0.1:{link.port}", box_id="box-1", answer_wait_s=0.0)
        box = Box(Settings(home=tmp_path / "box", cloud=far, pacs=(peer,)), clock)
        box.start()
        for day in range(30):
            box.ask(day)
            if day in _JUMPS:  # in the middle of an attempt that never comes back; nobody restarts the process
                box.die_in_an_attempt("archive")
                box.die_in_an_attempt("cloud")
                clock.now += _JUMPS[day]
            if day in _RESTARTS:
                box.die()
                box.start()
            for _ in range(2):
                box.work()
                clock.now += _DAY_S / 2
            assert box.undelivered("archive") == 0
            assert box.undelivered("cloud") == day + 1
        link.restore()
        back_at = clock.now
        while box.undelivered("cloud"):
            box.work()
            clock.now += 60.0
            assert clock.now - back_at < _HOUR_S
        held = _answer_everything(cloud, clock())
        box.work()
        link.close()
    with reading(box.home.engine) as connection:
        brought_back = list(connection.execute(select(answers.c.payload)).scalars())
    assert sorted(brought_back) == sorted(held) == sorted(one for one, where in box.asked.items() if where == "cloud")
    assert set(held.values()) == {"answered"}
    assert all(Spool(cloud.spool, 0).verify(digest) for digest in held)
    assert len(archive.classes) == 30
    box.home.engine.dispose()
