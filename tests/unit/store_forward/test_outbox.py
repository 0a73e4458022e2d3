"""Every transition a delivery can make, and those it cannot."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from store_forward import outbox
from store_forward.boot import BOOT_ID_FILE, boot_id, read_boot_id
from store_forward.database import writing
from store_forward.outbox import Delivery, DeliveryRequest, DeliveryState, LeaseLost, deliveries, delivery_events

REQUEST = DeliveryRequest(
    key="study 1 · cloud",
    subject="study 1",
    revision=1,
    kind="escalation",
    destination="cloud",
    priority=1,
    payload="a" * 64,
    size_bytes=10,
    content_type="application/zip",
    attributes={"left_out": 2},
)


def row_of(connection: Connection, delivery_id: int) -> Any:
    """The delivery's row."""
    return connection.execute(select(deliveries).where(deliveries.c.id == delivery_id)).one()


def leased(connection: Connection, now: float = 10.0, owner: str = "me") -> Delivery:
    """The next delivery for the cloud, which must exist."""
    delivery = outbox.lease(connection, "cloud", owner, now, 30.0)
    assert delivery is not None
    return delivery


def test_asking_twice_under_one_key_carries_once(engine: Engine) -> None:
    """A study that is read again after a crash does not double what it sends."""
    with writing(engine) as connection:
        first = outbox.enqueue(connection, REQUEST, 1.0)
        again = outbox.enqueue(connection, replace(REQUEST, payload="b" * 64), 2.0)
        other = outbox.enqueue(connection, replace(REQUEST, key="another"), 3.0)
        assert first == again != other
        assert row_of(connection, first).payload == REQUEST.payload


def test_nothing_is_asked_for_if_the_caller_fails(engine: Engine) -> None:
    """Business rows and deliveries commit together or not at all."""
    with pytest.raises(ZeroDivisionError), writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        raise ZeroDivisionError
    with writing(engine) as connection:
        assert outbox.lease(connection, "cloud", "me", 2.0, 30.0) is None


def test_a_lease_carries_the_request_and_counts_the_attempt(engine: Engine) -> None:
    """Counted before the work."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        delivery = leased(connection)
        assert (delivery.key, delivery.attributes, delivery.attempts) == (REQUEST.key, {"left_out": 2}, 1)
        assert row_of(connection, delivery.id).attempts == 1
        assert outbox.lease(connection, "cloud", "other", 20.0, 30.0) is None


def test_urgent_goes_first_then_oldest(engine: Engine) -> None:
    """By priority number, then by age; other destinations do not matter."""
    with writing(engine) as connection:
        for key, priority, destination in [("a", 2, "cloud"), ("b", 1, "cloud"), ("c", 0, "pacs"), ("d", 1, "cloud")]:
            request = replace(REQUEST, key=key, priority=priority, destination=destination)
            outbox.enqueue(connection, request, 1.0)
        assert [leased(connection).key for _ in range(3)] == ["b", "d", "a"]
        assert not outbox.any_due(connection, "cloud", 10.0)
        assert outbox.any_due(connection, "pacs", 10.0)


def test_an_expired_lease_goes_to_another_and_the_first_holder_is_told(engine: Engine) -> None:
    """What the first holder learned is not written over what is true now."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        first = leased(connection, now=10.0)
        second = leased(connection, now=40.0, owner="other")
        assert (second.id, second.attempts) == (first.id, 2)
        with pytest.raises(LeaseLost):
            outbox.delivered(connection, first, "receipt", 41.0)
        outbox.delivered(connection, second, "receipt", 42.0)
        with pytest.raises(LeaseLost):
            outbox.delivered(connection, second, "receipt", 43.0)


def test_an_owner_that_leases_again_is_not_mistaken_for_itself(engine: Engine) -> None:
    """The attempt is part of the lease."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        first, second = leased(connection, now=10.0), leased(connection, now=40.0)
        with pytest.raises(LeaseLost):
            outbox.refused(connection, first, "cause", "", 41.0)
        outbox.delivered(connection, second, "receipt", 42.0)


def test_a_lease_that_ran_out_but_was_not_taken_still_settles(engine: Engine) -> None:
    """Nobody else acted, so nothing is lost by believing the late holder."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        delivery = leased(connection)
        outbox.delivered(connection, delivery, "receipt", 1000.0)
        assert row_of(connection, delivery.id).state == "delivered"


def test_a_lease_of_an_earlier_boot_is_void_at_once(engine: Engine) -> None:
    """Whoever held it died with the machine; the delivery does not wait for the lease's time."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        first = outbox.lease(connection, "cloud", "me", 10.0, 30.0, boot="the first boot")
        assert first is not None
        assert outbox.any_due(connection, "cloud", 10.5, boot="the second boot")
        second = outbox.lease(connection, "cloud", "me", 10.5, 30.0, boot="the second boot")
        assert second is not None
        assert (second.id, second.attempts) == (first.id, 2)
        with pytest.raises(LeaseLost):
            outbox.delivered(connection, first, "receipt", 11.0)
        last = connection.execute(select(delivery_events).order_by(delivery_events.c.id.desc())).first()
    assert last is not None
    assert (last.state_from, last.state_to, last.cause) == ("leased", "leased", "machine_restarted")


def test_a_lease_of_this_boot_holds(engine: Engine) -> None:
    """Another process of the same boot does not take it before its time is over; extending keeps the boot."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        first = leased(connection, now=10.0)
        assert outbox.lease(connection, "cloud", "other", 39.0, 30.0) is None
        outbox.extend(connection, first, 39.0, 30.0)
        assert outbox.lease(connection, "cloud", "other", 68.0, 30.0) is None
        assert leased(connection, now=69.0, owner="other").attempts == 2


@pytest.mark.parametrize("back_s", [outbox.LONGEST_LEASE_S + 1, 3600.0, 1e9])
def test_a_clock_set_back_voids_a_lease(engine: Engine, back_s: float) -> None:
    """A lease that seems to last longer than any we give was taken under another clock: void at once."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        first = leased(connection, now=2e9)
        assert leased(connection, now=2e9 - back_s, owner="other").id == first.id


def test_the_boot_id_is_the_kernels(tmp_path: Path) -> None:
    """And one word for all boots where the kernel does not say, so that nothing is void by mistake."""
    assert boot_id() == BOOT_ID_FILE.read_text(encoding="ascii").strip()
    assert read_boot_id(tmp_path / "none") == "unknown"
    (tmp_path / "empty").touch()
    assert read_boot_id(tmp_path / "empty") == "unknown"


def test_a_lease_can_be_held_longer(engine: Engine) -> None:
    """For a transfer that takes its time."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        delivery = outbox.extend(connection, leased(connection, now=10.0), 35.0, 30.0)
        assert outbox.lease(connection, "cloud", "other", 50.0, 30.0) is None
        outbox.delivered(connection, delivery, "receipt", 60.0)


def test_a_deferred_delivery_waits_its_pause(engine: Engine) -> None:
    """At least as long as the other side asked for, and then it is due again."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        pause_s = outbox.deferred(connection, leased(connection), "cloud_full", "", 20.0, random.Random(0), 60.0)
        assert pause_s == 60.0
        assert outbox.lease(connection, "cloud", "me", 79.0, 30.0) is None
        assert leased(connection, now=80.0).attempts == 2


@pytest.mark.parametrize("failures", [0, 9_999, 2**40])
def test_what_can_be_tried_again_is_tried_without_end(engine: Engine, failures: int) -> None:
    """However often it has failed: it waits, at most the cap, and is due again; the count goes on."""
    with writing(engine) as connection:
        number = outbox.enqueue(connection, REQUEST, 0.0)
        connection.execute(deliveries.update().values(attempts=failures, failures=failures))
        now, rng = 0.0, random.Random(3)
        for _ in range(50):
            held = leased(connection, now=now)
            pause_s = outbox.deferred(connection, held, "cloud_unreachable", "", now, rng, cap_s=300.0)
            assert 0.0 <= pause_s <= 300.0
            now += 300.0
        row = row_of(connection, number)
    assert (row.state, row.attempts, row.failures) == ("waiting", failures + 50, failures + 50)


def test_only_failures_make_the_pause_longer(engine: Engine) -> None:
    """An attempt that gave way twenty times and then fails waits as after a first failure; a person starts anew."""
    with writing(engine) as connection:
        number = outbox.enqueue(connection, REQUEST, 0.0)
        for _ in range(20):
            outbox.released(connection, leased(connection, now=1.0), "gave_way", 1.0)
        pause_s = outbox.deferred(connection, leased(connection, now=1.0), "down", "", 1.0, random.Random(0))
        assert pause_s <= 2.0
        assert (row_of(connection, number).attempts, row_of(connection, number).failures) == (21, 1)
        outbox.retry(connection, [number], 1.0)
        assert row_of(connection, number).failures == 0


@pytest.mark.parametrize(("asked_s", "pause_s"), [(7200.0, 7200.0), (1e9, outbox.LONGEST_PAUSE_S)])
def test_the_far_side_may_ask_for_patience_within_reason(engine: Engine, asked_s: float, pause_s: float) -> None:
    """Longer than the cap, and never longer than a day."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 0.0)
        waits_s = outbox.deferred(connection, leased(connection), "cloud_full", "", 10.0, random.Random(0), asked_s)
    assert waits_s == pause_s


def test_a_refused_delivery_waits_for_a_person(engine: Engine) -> None:
    """Never due again by itself; due at once when a person asks."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        delivery = leased(connection)
        outbox.refused(connection, delivery, "cloud_refused_size", "too large", 20.0)
        assert outbox.lease(connection, "cloud", "me", 1e9, 30.0) is None
        assert outbox.retry(connection, [delivery.id], 30.0) == 1
        assert leased(connection, now=30.0).attempts == 2


def test_parking_takes_the_lease_away(engine: Engine) -> None:
    """A person's word stands against an attempt that is under way."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        delivery = leased(connection)
        assert outbox.park(connection, [delivery.id], "by_person", 15.0) == 1
        with pytest.raises(LeaseLost):
            outbox.delivered(connection, delivery, "receipt", 20.0)
        assert row_of(connection, delivery.id).state == "parked"


@pytest.mark.parametrize("move", [outbox.retry, lambda conn, ids, now: outbox.park(conn, ids, "by_person", now)])
def test_what_is_delivered_stays_delivered(engine: Engine, move: Callable[..., int]) -> None:
    """Neither a retry nor parking undoes it."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        delivery = leased(connection)
        outbox.delivered(connection, delivery, "receipt", 20.0)
        assert move(connection, [delivery.id], 30.0) == 0
        assert (row_of(connection, delivery.id).state, row_of(connection, delivery.id).receipt) == (
            "delivered",
            "receipt",
        )


def test_an_open_link_wakes_what_waits_for_it(engine: Engine) -> None:
    """All that waits for that destination, nothing else."""
    with writing(engine) as connection:
        for key, destination in [("a", "cloud"), ("b", "pacs")]:
            outbox.enqueue(connection, replace(REQUEST, key=key, destination=destination), 1.0)
            delivery = outbox.lease(connection, destination, "me", 10.0, 30.0)
            assert delivery is not None
            outbox.deferred(connection, delivery, "down", "", 10.0, random.Random(0), 500.0)
        assert outbox.wake(connection, "cloud", 20.0) == 1
        assert outbox.any_due(connection, "cloud", 20.0)
        assert not outbox.any_due(connection, "pacs", 20.0)


def test_a_new_uplink_takes_over_what_its_predecessor_held(engine: Engine) -> None:
    """It does not wait for the lease to run out; the attempt stays counted, and the dead one's result is not taken."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        held = leased(connection, 10.0)
        assert not outbox.any_due(connection, "cloud", 11.0)
        assert outbox.take_back(connection, "archive", 11.0) == 0
        assert outbox.take_back(connection, "cloud", 11.0) == 1
        assert outbox.take_back(connection, "cloud", 11.0) == 0
        again = leased(connection, 11.0, "my successor")
        assert (again.id, again.attempts) == (held.id, 2)
        with pytest.raises(LeaseLost):
            outbox.delivered(connection, held, "receipt", 12.0)


def test_a_clock_that_is_set_back_strands_nothing(engine: Engine) -> None:
    """Times that lie further ahead than any pause or lease count as reached."""
    ahead = 1e9
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, ahead)
        assert outbox.deferred(connection, leased(connection, now=ahead), "down", "", ahead, random.Random(0)) >= 0
        outbox.delivered(connection, leased(connection, now=10.0), "receipt", 11.0)
        outbox.enqueue(connection, replace(REQUEST, key="another"), ahead)
        leased(connection, now=ahead, owner="with a wrong clock")
        assert leased(connection, now=10.0).key == "another"


def test_every_transition_is_an_event(engine: Engine) -> None:
    """The history of a delivery is a query."""
    with writing(engine) as connection:
        outbox.enqueue(connection, REQUEST, 1.0)
        first = leased(connection, now=10.0)
        outbox.deferred(connection, first, "cloud_unreachable", "ConnectError", 10.5, random.Random(0))
        leased(connection, now=20.0)
        second = leased(connection, now=60.0)
        outbox.refused(connection, second, "cloud_refused_size", "", 61.0)
        outbox.retry(connection, [first.id], 70.0)
        outbox.delivered(connection, leased(connection, now=80.0), "receipt", 80.25)
        rows = connection.execute(select(delivery_events).order_by(delivery_events.c.id)).all()
    assert [(row.state_from, row.state_to, row.cause) for row in rows] == [
        (None, "waiting", None),
        ("waiting", "leased", None),
        ("leased", "waiting", "cloud_unreachable"),
        ("waiting", "leased", None),
        ("leased", "leased", "lease_expired"),
        ("leased", "parked", "cloud_refused_size"),
        ("parked", "waiting", "retried_by_person"),
        ("waiting", "leased", None),
        ("leased", "delivered", None),
    ]
    assert (rows[2].duration_ms, rows[-1].duration_ms) == (500.0, 250.0)


def test_depth_counts_by_destination_and_state(engine: Engine) -> None:
    """With the age of the oldest of each."""
    with writing(engine) as connection:
        for number, destination in enumerate(["cloud", "cloud", "pacs"]):
            outbox.enqueue(connection, replace(REQUEST, key=str(number), destination=destination), float(number))
        leased(connection)
        found = [(each.destination, each.state, each.count, each.oldest_at) for each in outbox.depth(connection)]
    assert found == [
        ("cloud", DeliveryState.LEASED, 1, 0.0),
        ("cloud", DeliveryState.WAITING, 1, 1.0),
        ("pacs", DeliveryState.WAITING, 1, 2.0),
    ]


@pytest.mark.parametrize("lease_s", [0.0, -1.0, outbox.LONGEST_LEASE_S + 1, float("nan")])
def test_a_lease_has_a_sensible_length(engine: Engine, lease_s: float) -> None:
    """One that never ends would lose the delivery with its holder."""
    with writing(engine) as connection, pytest.raises(ValueError, match="lease"):
        outbox.lease(connection, "cloud", "me", 1.0, lease_s)
