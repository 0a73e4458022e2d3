"""What moves deliveries without an attempt: each keeps its place, and each transition is an event."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import Engine, select

from store_forward import moves, outbox
from store_forward.database import writing
from store_forward.outbox import deliveries, delivery_events
from store_forward.selection import Selection, first
from tests.unit.store_forward.test_outbox import REQUEST


def test_a_long_queue_is_woken_bit_by_bit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most urgent first; fewer than the most that are woken at once means that there are no more."""
    monkeypatch.setattr(moves, "WOKEN_AT_ONCE", 4)
    with writing(engine) as connection:
        for number in range(10):
            outbox.enqueue(connection, replace(REQUEST, key=str(number), priority=3 - number % 3), float(number))
        connection.execute(deliveries.update().values(next_at=500.0))
        woken = [outbox.wake(connection, "cloud", 100.0) for _ in range(3)]
        assert woken == [4, 4, 2]
        taken = [outbox.lease(connection, "cloud", "me", 100.0, 30.0) for _ in range(10)]
        causes = connection.scalars(select(delivery_events.c.cause).where(delivery_events.c.cause.is_not(None))).all()
    assert [(one.priority, one.key) for one in taken if one] == [
        *((1, key) for key in "258"), *((2, key) for key in "147"), *((3, key) for key in "0369")
    ]  # fmt: skip
    assert causes == ["link_restored"] * 10


def test_a_person_gives_a_delivery_its_old_place_back(engine: Engine) -> None:
    """What failed or was parked goes before what was asked for later."""
    with writing(engine) as connection:
        old = outbox.enqueue(connection, REQUEST, 1.0)
        held = outbox.lease(connection, "cloud", "me", 2.0, 30.0)
        assert held is not None
        outbox.deferred(connection, held, "down", "", 2.0, random.Random(0), 500.0)
        outbox.enqueue(connection, replace(REQUEST, key="later"), 3.0)
        assert outbox.retry(connection, [old], 4.0) == 1
        again = outbox.lease(connection, "cloud", "me", 4.0, 30.0)
    assert again is not None
    assert again.id == old


def test_a_selection_is_moved_whole(engine: Engine) -> None:
    """Thousands in one go, with an event for each."""
    with writing(engine) as connection:
        for number in range(3000):
            outbox.enqueue(connection, replace(REQUEST, key=str(number)), 1.0)
        assert outbox.park(connection, Selection(destination="cloud").condition, "parked_by_person", 2.0) == 3000
        assert outbox.park(connection, Selection(destination="cloud").condition, "parked_by_person", 2.0) == 0
        assert outbox.retry(connection, Selection().condition, 3.0) == 3000
        moved = connection.scalars(select(delivery_events.c.cause).where(delivery_events.c.cause.is_not(None))).all()
    assert moved == ["parked_by_person"] * 3000 + ["retried_by_person"] * 3000


def test_the_first_of_a_selection_are_the_next_to_go(engine: Engine) -> None:
    """Across destinations and states, in the order in which they are due."""
    asked = [("a", 2, "cloud", 5.0), ("b", 0, "pacs", 6.0), ("c", 2, "pacs", 4.0), ("d", 0, "cloud", 7.0)]
    with writing(engine) as connection:
        for key, priority, destination, at in asked:
            outbox.enqueue(connection, replace(REQUEST, key=key, priority=priority, destination=destination), at)
        outbox.lease(connection, "pacs", "me", 10.0, 30.0)
        columns = ("id", "key", "priority", "next_at")
        assert [row["key"] for row in first(connection, Selection(), 9, columns)] == ["b", "d", "c", "a"]
        assert [row["key"] for row in first(connection, Selection(), 2, columns)] == ["b", "d"]
