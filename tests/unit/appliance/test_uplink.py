"""Lanes lease, attempt and settle; one that is down holds up no other; answers are kept before the cursor moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import update

from appliance.schema import StudyState, answers, studies
from appliance.settings import Cloud, Pacs
from appliance.uplink import AnswerLane, CloudCarrier, Lane, build_lanes
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Delivery, DeliveryRequest, deliveries, delivery_events, destinations
from store_forward.uplink import CloudLink
from tests.listening_box import wait_until
from tests.small_box import NOW, SmallBox, image

Act = Callable[[Path, Delivery], str]


def going_on() -> bool:
    """Nobody has asked for a stop."""
    return False


class Courier:
    """A carrier that keeps what it was given and then does as a test says."""

    def __init__(self, act: Act = lambda path, delivery: "receipt") -> None:
        self.act = act
        self.carried: list[tuple[str, bytes]] = []

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Note kind and bytes, then act."""
        self.carried.append((delivery.kind, path.read_bytes()))
        return self.act(path, delivery)


def failing(error: Exception) -> Act:
    """A destination that raises."""

    def act(path: Path, delivery: Delivery) -> str:
        raise error

    return act


def lane(box: SmallBox, courier: Courier, name: str = "archive") -> Lane:
    """A lane to ``name``."""
    return Lane(name, "pacs", courier, box.engine, box.spool, cap_s=300.0)


def enqueue(box: SmallBox, kind: str, priority: int = 2, destination: str = "archive", subject: str = "1.2") -> int:
    """Put a small payload into the outbox."""
    stored = box.spool.keep_bytes(kind.encode())
    asked = DeliveryRequest(
        f"{subject}:{kind}:{destination}",
        subject,
        1,
        kind,
        destination,
        priority,
        stored.digest,
        stored.size_bytes,
        "a/b",
    )
    with writing(box.engine) as connection:
        return outbox.enqueue(connection, asked, 0.0)


def test_a_delivery_arrives(box: SmallBox) -> None:
    """The spooled bytes, then the receipt, the peer's state and the event."""
    enqueue(box, "report")
    courier = Courier()
    assert lane(box, courier).step(going_on)
    assert courier.carried == [("report", b"report")]
    row = box.rows(deliveries)[0]
    assert (row.state, row.receipt, row.attempts) == ("delivered", "receipt", 1)
    assert [(e.state_from, e.state_to) for e in box.rows(delivery_events)][-1] == ("leased", "delivered")
    (peer,) = box.rows(destinations)
    assert (peer.name, peer.kind, peer.state) == ("archive", "pacs", "up")


def test_nothing_due(box: SmallBox) -> None:
    """An idle lane does nothing, and does not take the write lock to find out."""
    enqueue(box, "report", destination="elsewhere")
    idle = lane(box, Courier())
    with writing(box.engine):
        assert not idle.step(going_on)


def test_the_urgent_go_first(box: SmallBox) -> None:
    """Then by age."""
    for kind, priority in (("bulk", 3), ("result", 2), ("urgent", 0), ("second result", 2)):
        enqueue(box, kind, priority)
    courier = Courier()
    draining = lane(box, courier)
    while draining.step(going_on):
        pass
    assert [kind for kind, _ in courier.carried] == ["urgent", "result", "second result", "bulk"]


def test_a_deferred_delivery_waits(box: SmallBox) -> None:
    """With its cause, a next time not before what the peer asked for, and the peer marked down."""
    enqueue(box, "report")
    error = DeliveryDeferred("pacs_unreachable", "nobody there", retry_after_s=1000.0)
    trying = lane(box, Courier(failing(error)))
    assert trying.step(going_on)
    assert not trying.step(going_on)
    row = box.rows(deliveries)[0]
    assert (row.state, row.attempts, row.cause, row.detail) == ("waiting", 1, "pacs_unreachable", "nobody there")
    last = box.rows(delivery_events)[-1]
    assert row.next_at >= last.at + 1000.0
    assert (box.rows(destinations)[0].state, box.rows(destinations)[0].detail) == ("down", "pacs_unreachable")


def test_wrong_credentials_are_a_state_of_their_own(box: SmallBox) -> None:
    """Down mends itself; a refused token needs a person. The delivery waits in both cases."""
    enqueue(box, "escalation", destination="cloud")
    error = DeliveryDeferred("cloud_credentials_refused", "the endpoint does not know our token")
    lane(box, Courier(failing(error)), "cloud").step(going_on)
    assert box.rows(destinations)[0].state == "refused"
    assert box.rows(deliveries)[0].state == "waiting"


def test_our_own_stop_says_nothing_about_the_peer(box: SmallBox) -> None:
    """A box that shuts down during an upload does not report its cloud as down."""
    enqueue(box, "report")
    lane(box, Courier(failing(DeliveryDeferred("stopped", "the box is shutting down")))).step(going_on)
    assert box.count(destinations) == 0
    assert box.rows(deliveries)[0].state == "waiting"


def test_a_refused_delivery_is_parked(box: SmallBox) -> None:
    """It is never tried again by itself, and never dropped."""
    enqueue(box, "report")
    trying = lane(box, Courier(failing(DeliveryRefused("pacs_refused", "status 0xa900"))))
    assert trying.step(going_on)
    assert not trying.step(going_on)
    row = box.rows(deliveries)[0]
    assert (row.state, row.cause, row.detail) == ("parked", "pacs_refused", "status 0xa900")
    assert box.spool.verify(row.payload)


def test_damaged_bytes_are_not_sent(box: SmallBox) -> None:
    """The spool object is checked against its digest before it goes; the words say what to do."""
    enqueue(box, "report")
    digest = box.rows(deliveries)[0].payload
    box.spool.path(digest).write_bytes(b"repork")
    courier = Courier()
    assert lane(box, courier).step(going_on)
    row = box.rows(deliveries)[0]
    assert courier.carried == []
    assert (row.state, row.cause) == ("parked", "spool_object_damaged")
    assert "run scanside check" in row.detail


def test_a_missing_object_is_parked_too(box: SmallBox) -> None:
    """The same words for a file that is gone."""
    enqueue(box, "report")
    box.spool.path(box.rows(deliveries)[0].payload).unlink()
    lane(box, Courier()).step(going_on)
    assert box.rows(deliveries)[0].cause == "spool_object_damaged"


def test_a_lease_lost_meanwhile_is_respected(box: SmallBox) -> None:
    """A person parked the delivery while it was on its way: that stands."""
    number = enqueue(box, "report")

    def parked_meanwhile(path: Path, delivery: Delivery) -> str:
        with writing(box.engine) as connection:
            outbox.park(connection, [number], "parked_by_person", NOW)
        return "receipt"

    assert lane(box, Courier(parked_meanwhile)).step(going_on)
    assert (box.rows(deliveries)[0].state, box.rows(deliveries)[0].receipt) == ("parked", None)


def test_the_database_is_free_during_the_attempt(box: SmallBox) -> None:
    """A slow destination does not hold the write lock: others commit meanwhile."""
    enqueue(box, "report")

    def admits(path: Path, delivery: Delivery) -> str:
        box.admit(image())
        return "receipt"

    lane(box, Courier(admits)).step(going_on)
    assert box.count(studies) == 1


def test_the_last_delivery_settles_the_study(box: SmallBox) -> None:
    """In the very transaction that writes its receipt."""
    study = box.receive(image())
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.DECIDED))
    enqueue(box, "report", subject=study)
    enqueue(box, "picture", subject=study)
    draining = lane(box, Courier())
    draining.step(going_on)
    assert box.study(study).state == StudyState.DECIDED
    draining.step(going_on)
    assert box.study(study).state == StudyState.SETTLED


def test_lanes_do_not_hold_each_other_up(box: SmallBox) -> None:
    """One destination hangs; the other drains."""
    enqueue(box, "slow", destination="slow")
    enqueue(box, "fast", destination="fast")
    hold, stop = threading.Event(), threading.Event()

    def hangs(path: Path, delivery: Delivery) -> str:
        assert hold.wait(20.0)
        return "late"

    lanes = [lane(box, Courier(hangs), "slow"), lane(box, Courier(), "fast")]
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in lanes]
    for thread in threads:
        thread.start()

    def state(kind: str) -> str:
        return str(next(row.state for row in box.rows(deliveries) if row.kind == kind))

    try:
        wait_until(lambda: state("slow") == "leased", "the slow lane to begin")
        wait_until(lambda: state("fast") == "delivered", "the fast lane")
        assert state("slow") == "leased"
    finally:
        stop.set()
        hold.set()
        for thread in threads:
            thread.join(20.0)
    assert state("slow") == "delivered"


class FakeCloud:
    """A cloud on the far side of one HTTP transport: holds answers, notes what it was asked."""

    def __init__(self) -> None:
        self.answers: list[dict[str, object]] = []
        self.asked: list[tuple[str, str]] = []
        self.reply: Callable[[], httpx2.Response] | None = None

    def answer(self, seq: int, case: str = "a" * 64) -> None:
        """One more answer for this box."""
        self.answers.append({"seq": seq, "case": case, "decision": "urgent", "answered_at": NOW})

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """One exchange."""
        query = request.url.params
        self.asked.append((query.get("after", ""), query.get("wait_s", "")))
        if self.reply is not None:
            return self.reply()
        after = int(query["after"])
        found = [one for one in self.answers if int(str(one["seq"])) > after]
        return httpx2.Response(200, content=json.dumps({"answers": found}))

    def link(self) -> CloudLink:
        """The box's link to it."""
        client = httpx2.Client(transport=httpx2.MockTransport(self))
        return CloudLink("http://cloud", "token", "box", 1024, 5.0, client)


@pytest.fixture
def cloud() -> FakeCloud:
    """A cloud without answers yet."""
    return FakeCloud()


def cursor(box: SmallBox) -> int:
    """How far answers have been taken over."""
    with reading(box.engine) as connection:
        return outbox.read_cursor(connection, "cloud")


def test_answers_are_kept_as_they_came(box: SmallBox, cloud: FakeCloud) -> None:
    """With the cursor, in one transaction; what was taken over is not asked for again."""
    cloud.answer(3)
    cloud.answer(8, "b" * 64)
    polling = AnswerLane(cloud.link(), box.engine, wait_s=7.0)
    assert polling.step(lambda: NOW)
    assert [(a.seq, a.payload, a.applied_at) for a in box.rows(answers)] == [(3, "a" * 64, None), (8, "b" * 64, None)]
    assert json.loads(box.rows(answers)[0].body)["decision"] == "urgent"
    assert cursor(box) == 8
    assert polling.step(lambda: NOW)
    assert cloud.asked == [("0", "0.0"), ("8", "7.0")]
    assert box.count(answers) == 2


def test_an_answer_fetched_twice_is_kept_once(box: SmallBox, cloud: FakeCloud) -> None:
    """A cursor that was lost with the power costs nothing."""
    cloud.answer(3)
    polling = AnswerLane(cloud.link(), box.engine, wait_s=0.0)
    polling.step(lambda: NOW)
    with writing(box.engine) as connection:
        connection.execute(update(destinations).values(cursor=0))
        connection.execute(update(answers).values(applied_at=NOW))
    polling.step(lambda: NOW)
    assert [(a.seq, a.applied_at) for a in box.rows(answers)] == [(3, NOW)]


def test_a_link_that_is_down(box: SmallBox, cloud: FakeCloud) -> None:
    """It is said, with the cause, and nothing else changes."""

    def unreachable() -> httpx2.Response:
        raise httpx2.ConnectError("no route to host")

    cloud.reply = unreachable
    assert not AnswerLane(cloud.link(), box.engine, 5.0).step(lambda: NOW)
    (peer,) = box.rows(destinations)
    assert (peer.state, peer.detail, peer.cursor) == ("down", "cloud_unreachable", 0)


def test_a_refused_token(box: SmallBox, cloud: FakeCloud) -> None:
    """A state of its own: waiting does not mend it."""
    cloud.reply = lambda: httpx2.Response(401)
    assert not AnswerLane(cloud.link(), box.engine, 5.0).step(lambda: NOW)
    assert box.rows(destinations)[0].state == "refused"


def test_the_link_comes_back(box: SmallBox, cloud: FakeCloud) -> None:
    """What waits for the cloud is due at once, whatever back-off it had reached; other destinations stay."""
    for destination in ("cloud", "archive"):
        enqueue(box, "x", destination=destination)
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).values(next_at=NOW + 250))
    polling = AnswerLane(cloud.link(), box.engine, 5.0)
    assert polling.step(lambda: NOW)
    due = {row.destination: row.next_at for row in box.rows(deliveries)}
    assert due == {"cloud": NOW, "archive": NOW + 250}
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).values(next_at=NOW + 300))
    assert polling.step(lambda: NOW + 1)
    assert {row.next_at for row in box.rows(deliveries)} == {NOW + 300}


def test_polling_ends_when_told(box: SmallBox, cloud: FakeCloud) -> None:
    """And a cloud that answers at once is not asked in a tight loop."""
    stop = threading.Event()
    thread = threading.Thread(target=AnswerLane(cloud.link(), box.engine, 0.0).run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: len(cloud.asked) >= 3, "a few polls")
    finally:
        stop.set()
        thread.join(20.0)
    assert not thread.is_alive()
    assert len(cloud.asked) <= 4


def test_one_lane_per_destination(box: SmallBox) -> None:
    """Two for the cloud, one per PACS, none without either."""
    peers = tuple(Pacs(name=name, host="127.0.0.1", port=1, ae_title="A") for name in ("a", "b"))
    none = build_lanes(Cloud(), None, (), "SCANSIDE", box.engine, box.spool)
    assert none == []
    made = build_lanes(Cloud(url="http://127.0.0.1:9"), "t", peers, "SCANSIDE", box.engine, box.spool)
    assert [one.name for one in made if isinstance(one, Lane)] == ["cloud", "a", "b"]
    assert sum(isinstance(one, AnswerLane) for one in made) == 1


def test_the_cloud_carrier_returns_the_receipt(box: SmallBox) -> None:
    """Its text is what the cloud says it holds."""
    enqueue(box, "escalation", destination="cloud")
    row = box.rows(deliveries)[0]
    receipt = {"digest": row.payload, "size_bytes": row.size_bytes, "stored_at": NOW}
    reply = httpx2.Response(200, headers={"Scanside-Receipt": json.dumps(receipt), "Tus-Resumable": "1.0.0"})
    client = httpx2.Client(transport=httpx2.MockTransport(lambda request: reply))
    carrier = CloudCarrier(CloudLink("http://cloud", "token", "box", 1024, 5.0, client))
    Lane("cloud", "cloud", carrier, box.engine, box.spool, 300.0).step(going_on)
    assert json.loads(box.rows(deliveries)[0].receipt) == receipt
