"""What counts as carried, and for how long."""

from __future__ import annotations

import random

from sqlalchemy import Engine

from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.deliveries import Load, load
from store_forward.moves import hasten
from store_forward.outbox import Delivery, DeliveryRequest
from store_forward.traffic import HOUR_S, Hour, hours

T = 100 * HOUR_S


def ask(engine: Engine, name: str, size_bytes: int = 1000, priority: int = 2, now: float = T) -> int:
    """A delivery to the cloud."""
    with writing(engine) as conn:
        request = DeliveryRequest(name, name, 1, "report", "cloud", priority, "a" * 64, size_bytes, "a/b")
        return outbox.enqueue(conn, request, now)


def lease(engine: Engine, now: float) -> Delivery:
    """The next, which there must be."""
    with writing(engine) as conn:
        held = outbox.lease(conn, "cloud", "me", now, 60.0)
    assert held is not None
    return held


def counted(engine: Engine) -> list[Hour]:
    """All hours."""
    with reading(engine) as conn:
        return hours(conn, "cloud", 0)


def test_what_arrives_is_counted_in_its_hour(engine: Engine) -> None:
    """Bytes, deliveries, and how long they took; by destination."""
    for number, began in enumerate((T, T + 10, T + HOUR_S)):
        ask(engine, f"{number}", 1000 * (number + 1))
        held = lease(engine, began)
        with writing(engine) as conn:
            outbox.delivered(conn, held, "receipt", began + 2)
    assert counted(engine) == [Hour(100, 2, 3000, 4000.0), Hour(101, 1, 3000, 2000.0)]
    with reading(engine) as conn:
        assert hours(conn, "cloud", 101) == [Hour(101, 1, 3000, 2000.0)]
        assert hours(conn, "archive", 0) == []


def test_a_failure_tells_nothing_and_a_break_only_time(engine: Engine) -> None:
    """An upload that gave way was carrying; one that ran into a dead link was not."""
    ask(engine, "1")
    with writing(engine) as conn:
        held = outbox.lease(conn, "cloud", "me", T, 60.0)
        assert held is not None
        outbox.deferred(conn, held, "cloud_unreachable", "", T + 30, random.Random(1))
    assert counted(engine) == []
    held = lease(engine, T + 40)
    with writing(engine) as conn:
        outbox.released(conn, held, "gave_way", T + 43)
    assert counted(engine) == [Hour(100, 0, 0, 3000.0)]
    held = lease(engine, T + 50)
    with writing(engine) as conn:
        outbox.delivered(conn, held, "receipt", T + 51)
    assert counted(engine) == [Hour(100, 1, 1000, 4000.0)]


def test_what_awaits_its_commitment_is_counted_once(engine: Engine) -> None:
    """It is there with the first attempt; when the receipt comes nothing is carried."""
    ask(engine, "1")
    for began in (T, T + 10):
        held = lease(engine, began)
        with writing(engine) as conn:
            outbox.awaiting(conn, held, "commitment_awaited", "", began + 1)
    held = lease(engine, T + 20)
    with writing(engine) as conn:
        outbox.delivered(conn, held, "committed", T + 25)
    assert counted(engine) == [Hour(100, 1, 1000, 1000.0)]


def test_the_load_is_kept_by_priority(engine: Engine) -> None:
    """What waits and what is being sent; what is hastened moves, what has arrived or is parked is gone."""
    numbers = [ask(engine, f"{number}", 100 + number, priority=number % 3, now=T + number) for number in range(6)]
    with writing(engine) as conn:
        assert load(conn, "cloud") == [Load(0, 2, 203), Load(1, 2, 205), Load(2, 2, 207)]
        hasten(conn, numbers[5], 0)
        outbox.park(conn, [numbers[1]], "parked_by_person", T)
        assert load(conn, "cloud") == [Load(0, 3, 308), Load(1, 1, 104), Load(2, 1, 102)]
        assert load(conn, "archive") == []
    held = lease(engine, T + 10)
    with writing(engine) as conn:
        assert load(conn, "cloud")[0] == Load(0, 3, 308)
        outbox.delivered(conn, held, "receipt", T + 11)
        assert load(conn, "cloud")[0] == Load(0, 2, 208)


def test_who_moved_it_stands_in_the_history(engine: Engine) -> None:
    """And nothing where nobody has a name."""
    number = ask(engine, "1")
    with writing(engine) as conn:
        outbox.park(conn, [number], "parked_by_person", T, by="Ada")
        outbox.retry(conn, [number], T, by="Ada")
        outbox.park(conn, [number], "parked_by_person", T)
        found = conn.execute(outbox.delivery_events.select().order_by(outbox.delivery_events.c.id)).all()
    assert [(one.cause, one.detail) for one in found[1:]] == [
        ("parked_by_person", "by Ada"), ("retried_by_person", "by Ada"), ("parked_by_person", None),
    ]  # fmt: skip
