"""Whatever happens in whatever order, nothing is lost, forgotten or delivered twice."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, select

from store_forward import outbox
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.outbox import Delivery, DeliveryRequest, LeaseLost

LEASE_S = 30.0
KEYS = st.integers(0, 5).map(str)
WORKERS = st.sampled_from(["a", "b"])


class Outbox(RuleBasedStateMachine):
    """Two workers, a few keys, one destination that remembers what it took, and a clock that only tests move."""

    @initialize()
    def open(self) -> None:
        """A fresh database on disk; what the callers were told lives outside of it."""
        self.folder = tempfile.TemporaryDirectory()
        self.engine = self.opened()
        self.now = 1000.0
        self.boot = "boot 0"
        self.rng = random.Random(0)
        self.promised: set[str] = set()
        self.receipts: dict[str, str] = {}
        self.held: dict[str, Delivery] = {}
        self.in_hand: list[Delivery] = []
        self.attempts: dict[str, int] = {}
        self.boots: dict[str, str] = {}

    def opened(self) -> Engine:
        """The database, as a process that has just started finds it."""
        engine = open_database(Path(self.folder.name) / "box.sqlite")
        create_schema(engine)
        return engine

    def teardown(self) -> None:
        """Give the folder back."""
        if hasattr(self, "engine"):
            self.engine.dispose()
            self.folder.cleanup()

    @rule(key=KEYS, priority=st.integers(0, 3))
    def enqueue(self, key: str, priority: int) -> None:
        """Once this returns, the delivery has been promised."""
        request = DeliveryRequest(key, "s", 1, "k", "cloud", priority, "a" * 64, 1, "t")
        with writing(self.engine) as connection:
            outbox.enqueue(connection, request, self.now)
        self.promised.add(key)

    @rule(key=KEYS)
    def enqueue_and_fail(self, key: str) -> None:
        """The caller's transaction is undone: nothing was promised."""
        request = DeliveryRequest(f"never {key}", "s", 1, "k", "cloud", 0, "a" * 64, 1, "t")
        try:
            with writing(self.engine) as connection:
                outbox.enqueue(connection, request, self.now)
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    @rule(worker=WORKERS)
    def lease(self, worker: str) -> None:
        """Never something that is delivered or that another holds; the attempt is counted."""
        with writing(self.engine) as connection:
            due = outbox.any_due(connection, "cloud", self.now, boot=self.boot)
            delivery = outbox.lease(connection, "cloud", worker, self.now, LEASE_S, boot=self.boot)
        assert (delivery is not None) == due
        if delivery is None:
            return
        assert delivery.key in self.promised
        assert delivery.key not in self.receipts
        holder = self.held.get(delivery.key)
        still = holder is not None and self.now < holder.lease_until <= self.now + outbox.LONGEST_LEASE_S
        assert not still or self.boots[delivery.key] != self.boot
        self.boots[delivery.key] = self.boot
        self.attempts[delivery.key] = self.attempts.get(delivery.key, 0) + 1
        assert delivery.attempts == self.attempts[delivery.key]
        self.held[delivery.key] = delivery
        self.in_hand.append(delivery)

    @rule(seconds=st.sampled_from([1.0, LEASE_S, 400.0, -500.0, 1e8, -1e8]))
    def time_passes(self, seconds: float) -> None:
        """Or the clock is set, forward or back."""
        self.now += seconds

    @rule()
    def crash(self) -> None:
        """The process dies with everything it had in hand; another opens the same file."""
        self.engine.dispose()
        self.in_hand.clear()
        self.engine = self.opened()

    @rule()
    def power_cut(self) -> None:
        """The machine goes down and comes up: every lease is void at once."""
        self.crash()
        self.boot = f"boot {int(self.boot.split()[1]) + 1}"
        with reading(self.engine) as connection:
            due = outbox.any_due(connection, "cloud", self.now, boot=self.boot)
        assert due or not self.held

    @precondition(lambda self: self.in_hand)
    @rule(which=st.integers(0, 50), how=st.sampled_from(["delivered", "deferred", "released", "refused", "extended"]))
    def settle(self, which: int, how: str) -> None:
        """Works exactly for whoever holds the lease."""
        delivery = self.in_hand[which % len(self.in_hand)]
        is_ours = self.held.get(delivery.key) is delivery
        try:
            with writing(self.engine) as connection:
                longer = self._settle(connection, delivery, how)
        except LeaseLost:
            assert not is_ours
            self.in_hand.remove(delivery)
            return
        assert is_ours
        self.in_hand.remove(delivery)
        del self.held[delivery.key]
        if how == "delivered":
            assert delivery.key not in self.receipts
            self.receipts[delivery.key] = f"receipt {delivery.attempts}"
        if longer is not None:
            self.held[delivery.key] = longer
            self.in_hand.append(longer)

    def _settle(self, connection: Any, delivery: Delivery, how: str) -> Delivery | None:
        if how == "extended":
            return outbox.extend(connection, delivery, self.now, LEASE_S)
        if how == "delivered":
            outbox.delivered(connection, delivery, f"receipt {delivery.attempts}", self.now)
        elif how == "deferred":
            outbox.deferred(connection, delivery, "down", "", self.now, self.rng)
        elif how == "released":
            outbox.released(connection, delivery, "gave_way", self.now)
        else:
            outbox.refused(connection, delivery, "refused", "", self.now)
        return None

    @rule(number=st.integers(1, 6))
    def park(self, number: int) -> None:
        """A person sets one aside, whoever holds it."""
        with writing(self.engine) as connection:
            if outbox.park(connection, [number], "by_person", self.now):
                key = connection.execute(
                    select(outbox.deliveries.c.key).where(outbox.deliveries.c.id == number)
                ).scalar_one()
                self.held.pop(key, None)

    @rule(numbers=st.sets(st.integers(1, 6)))
    def retry(self, numbers: set[int]) -> None:
        """A person asks for some again."""
        with writing(self.engine) as connection:
            outbox.retry(connection, numbers, self.now)

    @rule()
    def wake(self) -> None:
        """The link is back."""
        with writing(self.engine) as connection:
            outbox.wake(connection, "cloud", self.now)

    @invariant()
    def what_was_promised_is_there(self) -> None:
        """Every promise is one row; receipts stand as they were given; the history ends where the row stands."""
        if not hasattr(self, "engine"):
            return
        with reading(self.engine) as connection:
            rows = {row.key: row for row in connection.execute(select(outbox.deliveries))}
            events = connection.execute(select(outbox.delivery_events).order_by(outbox.delivery_events.c.id)).all()
        assert set(rows) == self.promised
        assert {key: row.receipt for key, row in rows.items() if row.state == "delivered"} == self.receipts
        assert {key for key, row in rows.items() if row.state == "leased"} == set(self.held)
        for row in rows.values():
            own = [event for event in events if event.delivery_id == row.id]
            steps = [(None, None), *((event.state_from, event.state_to) for event in own)]
            assert all(before[1] == after[0] for before, after in pairwise(steps))
            assert own[-1].state_to == row.state

    @invariant()
    def the_counts_are_right(self) -> None:
        """What the page says without counting is what counting would say."""
        if not hasattr(self, "engine"):
            return
        with reading(self.engine) as connection:
            depth = {(one.destination, one.state.value): one.count for one in outbox.depth(connection)}
            rows = connection.execute(select(outbox.deliveries.c.destination, outbox.deliveries.c.state))
            assert depth == dict(Counter((row.destination, row.state) for row in rows))

    @invariant()
    def nothing_is_stranded(self) -> None:
        """What is neither delivered nor parked can be leased, now or within the longest pause."""
        if not hasattr(self, "engine"):
            return
        later = self.now + outbox.LONGEST_PAUSE_S
        with reading(self.engine) as connection:
            open_rows = connection.execute(
                select(outbox.deliveries.c.id).where(outbox.deliveries.c.state.in_(["waiting", "leased"]))
            ).first()
            assert outbox.any_due(connection, "cloud", later) == (open_rows is not None)


PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
Outbox.TestCase.settings = settings(max_examples=30, stateful_step_count=40, phases=PHASES)
TestOutbox = Outbox.TestCase
