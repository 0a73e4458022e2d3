"""Lanes lease, attempt and settle; one that is down holds up no other, and the urgent never wait for the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import update

from appliance.lane import Carrier, Lane
from appliance.line import Line, Window
from appliance.schema import StudyState, studies
from store_forward import outbox
from store_forward.database import writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Delivery, deliveries, delivery_events, destinations
from tests.listening_box import wait_until
from tests.small_box import NOW, SmallBox, image
from tests.unit.appliance.couriers import Courier, enqueue, failing, going_on, lane


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


def test_it_rests_when_nothing_more_is_due(box: SmallBox) -> None:
    """What a carrier keeps between two deliveries serves all that is due, and is let go of with the last."""
    courier, rested = Courier(), []
    for kind in ("report", "picture", "key_objects"):
        enqueue(box, kind)
    draining = Lane(
        "archive",
        "pacs",
        courier,
        box.engine,
        box.spool,
        cap_s=300.0,
        rest=lambda: rested.append(len(courier.carried)),
    )
    while draining.step(going_on):
        pass
    assert rested == [3, 3]


def test_it_rests_at_its_end(box: SmallBox) -> None:
    """However it ends, and with whatever is still due."""
    rested = threading.Event()
    stop = threading.Event()
    stop.set()
    enqueue(box, "report")
    Lane("archive", "pacs", Courier(), box.engine, box.spool, cap_s=300.0, rest=rested.set).run(stop)
    assert rested.is_set()


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


class InChunks:
    """A carrier that asks before each of ``chunks`` whether to go on, remembers how far it got, and goes on there."""

    def __init__(self, chunks: int, arriving: Callable[[int], None] = lambda sent: None) -> None:
        self.sent: list[str] = []
        self._chunks = chunks
        self.arriving = arriving
        self._offsets: dict[str, int] = {}

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Chunk by chunk; ``arriving`` is told how many chunks of all deliveries have gone, before each."""
        while self._offsets.get(delivery.kind, 0) < self._chunks:
            self.arriving(len(self.sent))
            if stop():
                raise DeliveryDeferred("stopped", "between two chunks")
            self.sent.append(delivery.kind)
            self._offsets[delivery.kind] = self._offsets.get(delivery.kind, 0) + 1
        return "receipt"


def drain(box: SmallBox, carrier: Carrier) -> None:
    """One lane until nothing is due."""
    draining = Lane("archive", "pacs", carrier, box.engine, box.spool, 300.0)
    while draining.step(going_on):
        pass


def test_bulk_gives_way_between_two_chunks(box: SmallBox) -> None:
    """The urgent goes next; bulk is due again at once, goes on where it stood, and its history says what happened."""
    enqueue(box, "bulk", 3)
    arriving = {2: ("urgent", 0)}

    def at(sent: int) -> None:
        if sent in arriving:
            enqueue(box, *arriving.pop(sent))

    carrier = InChunks(4, at)
    drain(box, carrier)
    assert carrier.sent == ["bulk"] * 2 + ["urgent"] * 4 + ["bulk"] * 2
    bulk = next(row for row in box.rows(deliveries) if row.kind == "bulk")
    assert (bulk.state, bulk.attempts, bulk.failures) == ("delivered", 2, 0)
    history = [(e.state_from, e.state_to, e.cause) for e in box.rows(delivery_events) if e.delivery_id == bulk.id]
    assert history[1:4] == [("waiting", "leased", None), ("leased", "waiting", "gave_way"), ("waiting", "leased", None)]


def test_giving_way_is_no_failure(box: SmallBox) -> None:
    """It neither lengthens the next pause nor marks the peer, and the delivery keeps its place in the queue."""
    first = enqueue(box, "first", 3)
    enqueue(box, "second", 3)
    with writing(box.engine) as connection:
        held = outbox.lease(connection, "archive", "me", NOW, 60.0)
        assert held is not None
        outbox.released(connection, held, "gave_way", NOW + 5)
        again = outbox.lease(connection, "archive", "me", NOW + 5, 60.0)
        assert again is not None
        assert (again.id, again.attempts, again.failures) == (first, 2, 0)
    assert box.count(destinations) == 0


def test_the_equally_urgent_do_not_push_each_other_aside(box: SmallBox) -> None:
    """Nor does what is urgent but not due, or due for another destination."""
    enqueue(box, "first", 1)
    later = enqueue(box, "later", 0)
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).where(deliveries.c.id == later).values(next_at=time.time() + 3600))
    enqueue(box, "elsewhere", 0, destination="elsewhere")
    arriving = {1: ("second", 1)}

    def at(sent: int) -> None:
        if sent in arriving:
            enqueue(box, *arriving.pop(sent))

    carrier = InChunks(3, at)
    drain(box, carrier)
    assert carrier.sent == ["first"] * 3 + ["second"] * 3


def test_a_stop_is_no_failure_either(box: SmallBox) -> None:
    """A box that starts again goes on with the upload at once."""
    number = enqueue(box, "report")
    lane(box, Courier(failing(DeliveryDeferred("stopped", "the box is shutting down")))).step(going_on)
    with writing(box.engine) as connection:
        again = outbox.lease(connection, "archive", "me", time.time(), 60.0)
    assert again is not None
    assert (again.id, again.failures) == (number, 0)


def test_what_an_ended_process_held_is_due_at_once(box: SmallBox) -> None:
    """It does not wait for the lease's time: the process that starts anew takes it back, once and for all its lanes."""
    numbers = {enqueue(box, "report"), enqueue(box, "picture")}
    enqueue(box, "other", destination="elsewhere")
    with writing(box.engine) as connection:
        for destination in ("archive", "archive", "elsewhere"):
            assert outbox.lease(connection, destination, "a process that died", time.time(), 600.0)
        assert not outbox.any_due(connection, "archive", time.time())
    courier, line, stop = Courier(), Line(), threading.Event()
    lanes = [Lane("archive", "pacs", courier, box.engine, box.spool, 300.0, line) for _ in range(2)]
    threads = [threading.Thread(target=one.run, args=(stop,)) for one in lanes]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(courier.carried) == 2, "both")
    finally:
        stop.set()
        for thread in threads:
            thread.join(20.0)
    causes = [(e.delivery_id, e.cause) for e in box.rows(delivery_events) if e.cause]
    assert sorted(causes) == [(number, "uplink_restarted") for number in sorted(numbers)]
    assert {row.state for row in box.rows(deliveries) if row.destination == "elsewhere"} == {"leased"}


def test_a_lane_that_hangs_gives_back_what_it_holds(box: SmallBox) -> None:
    """At the process's end; what the attempt still brings in is then not written."""
    enqueue(box, "report")
    hold = threading.Event()

    def hangs(path: Path, delivery: Delivery) -> str:
        assert hold.wait(20.0)
        return "late"

    hanging = lane(box, Courier(hangs))
    thread = threading.Thread(target=hanging.step, args=(going_on,))
    thread.start()
    try:
        wait_until(lambda: box.rows(deliveries)[0].state == "leased", "the attempt to begin")
        wait_until(lambda: hanging.holds, "the lane to note it")
        hanging.give_back()
        row = box.rows(deliveries)[0]
        assert (row.state, row.cause, row.failures) == ("waiting", "stopped", 0)
    finally:
        hold.set()
        thread.join(20.0)
    assert box.rows(deliveries)[0].state == "waiting"
    hanging.give_back()
    assert box.rows(deliveries)[0].attempts == 1


def test_bulk_waits_for_its_window(box: SmallBox) -> None:
    """It is not taken outside, and what is under way when the window closes goes on the next time."""
    enqueue(box, "bulk", 3)
    enqueue(box, "escalation", 1)
    carrier = InChunks(2)

    class Shut(Window):
        """Open but for the moments in which there is nothing, or one chunk of bulk, to show for it."""

        def is_open(self, minute: int) -> bool:
            """Whatever the minute."""
            return len(carrier.sent) == 2

    drained = Lane("archive", "pacs", carrier, box.engine, box.spool, 300.0, Line(Shut(0, 0)))
    assert drained.step(going_on)
    assert carrier.sent == ["escalation"] * 2
    assert drained.step(going_on)
    assert carrier.sent == ["escalation"] * 2 + ["bulk"]
    bulk = next(row for row in box.rows(deliveries) if row.kind == "bulk")
    assert (bulk.state, bulk.cause, bulk.failures) == ("waiting", "bulk_window_closed", 0)
    assert not drained.step(going_on)
