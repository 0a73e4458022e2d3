"""A lane: lease, attempt, settle; one delivery at a time, the most urgent first.

Every destination has lanes of its own, so one that is down or slow holds up no other.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Protocol

import structlog
from sqlalchemy import Connection, Engine

from appliance.audit.kept import study_sent
from appliance.line import Line
from appliance.standby.gate import Gate
from appliance.triage.queue import settle_if_done
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.errors import DeliveryAwaits, DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Contact, Delivery, LeaseLost
from store_forward.spool import Spool

log = structlog.get_logger()
_LEASE_S: Final = 600.0
_PAUSE_S: Final = 0.2

Settlement = Callable[[Connection, float], None]


class Carrier(Protocol):
    """Carries one delivery to its destination and returns the receipt's text."""

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Raises DeliveryDeferred, DeliveryRefused, or DeliveryAwaits when the receipt is still to come."""


class Lane:
    """Lease, attempt, settle; one delivery at a time, the most urgent first."""

    def __init__(
        self,
        name: str,
        kind: str,
        carrier: Carrier,
        engine: Engine,
        spool: Spool,
        cap_s: float,
        line: Line | None = None,
        rest: Callable[[], None] | None = None,
    ) -> None:
        """``line`` is shared by all lanes to the same destination; ``cap_s`` is the longest pause between tries.

        ``rest`` is called when nothing more is due, or none may go, so that the carrier lets go of what it kept.
        """
        self.name = name
        self._kind = kind
        self._carrier = carrier
        self._engine = engine
        self._spool = spool
        self._cap_s = cap_s
        self._owner = f"{name}-{secrets.token_hex(8)}"
        self._rng = random.Random()
        self._line = line or Line()
        self._rest = rest
        self._held: Delivery | None = None
        self.gate = Gate()

    def step(self, stop: Callable[[], bool]) -> bool:
        """Attempt the next delivery that is due; False when there is none, or none may go now."""
        with self.gate.passing() as may_pass:
            attempted = may_pass and self._step(stop)
        if self._rest is not None and (not attempted or stop() or not self._any_due()):
            self._rest()
        return attempted

    def _any_due(self) -> bool:
        limit = self._line.least_urgent(time.time())
        with reading(self._engine) as connection:
            return outbox.any_due(connection, self.name, time.time(), least_urgent=limit)

    def _step(self, stop: Callable[[], bool]) -> bool:
        limit = self._line.least_urgent(time.time())
        if not self._any_due():
            return False
        with writing(self._engine) as connection:
            now = time.time()
            delivery = outbox.lease(connection, self.name, self._owner, now, _LEASE_S, least_urgent=limit)
        if delivery is None:
            return False
        self._held = delivery
        with self._line.carrying(delivery.priority):
            settle = self._attempt(delivery, stop)
        self._write(settle)
        self._held = None
        return True

    @property
    def holds(self) -> bool:
        """Whether an attempt is being made."""
        return self._held is not None

    def give_back(self) -> None:
        """At the process's end: what is still being attempted then is due again at once, without a failure."""
        if self._held is not None:
            self._write(self._released(self._held, "stopped"))

    def _take_back(self) -> None:
        with writing(self._engine) as connection:
            outbox.take_back(connection, self.name, time.time())

    def _write(self, settle: Settlement) -> None:
        try:
            with writing(self._engine) as connection:
                settle(connection, time.time())
        except LeaseLost:
            log.warning("delivery.lease_lost", destination=self.name)

    def _attempt(self, delivery: Delivery, stop: Callable[[], bool]) -> Settlement:
        """Do the work outside any transaction; returns what is to be written about it."""
        path = self._spool.file(delivery.payload)
        if not self._spool.verify(delivery.payload):
            return self._refused(delivery, "spool_object_damaged", "run scanside check; the study can be read again")
        hold = _Hold(self._engine, delivery, self._line, self.gate)
        try:
            receipt = self._carrier.carry(path, delivery, lambda: stop() or hold.ends())
        except DeliveryDeferred as deferred:
            if deferred.cause != "stopped":
                return self._deferred(delivery, deferred)
            return self._released(delivery, hold.cause or "stopped")
        except DeliveryRefused as refused:
            return self._refused(delivery, refused.cause, refused.detail)
        except DeliveryAwaits as awaits:
            return self._awaiting(delivery, awaits)
        return self._delivered(delivery, receipt)

    def _delivered(self, delivery: Delivery, receipt: str) -> Settlement:
        def write(connection: Connection, now: float) -> None:
            outbox.delivered(connection, delivery, receipt, now)
            outbox.record_contact(connection, self.name, self._kind, Contact.UP, "", now)
            settle_if_done(connection, delivery.subject, now)
            study_sent(connection, self.name, delivery.subject, delivery.kind, now)
            log.info("delivery.delivered", delivery=delivery.id, kind=delivery.kind, destination=self.name)

        return write

    def _deferred(self, delivery: Delivery, error: DeliveryDeferred) -> Settlement:
        def write(connection: Connection, now: float) -> None:
            pause_s = outbox.deferred(
                connection,
                delivery,
                error.cause,
                error.detail,
                now,
                self._rng,
                error.retry_after_s,
                self._cap_s,
            )
            outbox.record_contact(connection, self.name, self._kind, contact_after(error.cause), error.cause, now)
            log.info("delivery.deferred", delivery=delivery.id, cause=error.cause, again_in_s=round(pause_s, 1))

        return write

    def _awaiting(self, delivery: Delivery, awaits: DeliveryAwaits) -> Settlement:
        def write(connection: Connection, now: float) -> None:
            outbox.awaiting(connection, delivery, awaits.cause, awaits.detail, now)
            outbox.record_contact(connection, self.name, self._kind, Contact.UP, "", now)
            log.info("delivery.awaiting", delivery=delivery.id, cause=awaits.cause, destination=self.name)

        return write

    def _released(self, delivery: Delivery, cause: str) -> Settlement:
        def write(connection: Connection, now: float) -> None:
            outbox.released(connection, delivery, cause, now)
            log.info("delivery.released", delivery=delivery.id, cause=cause, destination=self.name)

        return write

    def _refused(self, delivery: Delivery, cause: str, detail: str) -> Settlement:
        def write(connection: Connection, now: float) -> None:
            outbox.refused(connection, delivery, cause, detail, now)
            log.warning("delivery.parked", delivery=delivery.id, cause=cause, destination=self.name)

        return write

    def run(self, stop: threading.Event) -> None:
        """Take back what an earlier process held, then drain until told to stop."""
        self._line.begin(self._take_back)
        try:
            while not stop.is_set():
                if not self.step(stop.is_set):
                    stop.wait(_PAUSE_S)
        finally:
            if self._rest is not None:
                self._rest()


class _Hold:
    """The lease of one attempt, and whether it should go on; asked between two chunks."""

    def __init__(self, engine: Engine, delivery: Delivery, line: Line, gate: Gate) -> None:
        self.cause: Literal["gave_way", "bulk_window_closed", "held_for_other_box"] | None = None
        self._engine = engine
        self._delivery = delivery
        self._line = line
        self._gate = gate
        self._extend_at = time.monotonic() + _LEASE_S / 4

    def ends(self) -> bool:
        """True when it is not its turn any more, which ``cause`` then says, or when the lease has been lost."""
        if self._more_urgent_about():
            self.cause = "gave_way"
        elif not self._line.window_open_for(self._delivery.priority, time.time()):
            self.cause = "bulk_window_closed"
        elif not self._gate.is_open():
            self.cause = "held_for_other_box"
        return self.cause is not None or self._lost()

    def _more_urgent_about(self) -> bool:
        """Something more urgent is due for the same destination, or another lane carries it already."""
        if self._line.carries_more_urgent(self._delivery.priority):
            return True
        more_urgent = self._delivery.priority - 1
        with reading(self._engine) as connection:
            return outbox.any_due(connection, self._delivery.destination, time.time(), least_urgent=more_urgent)

    def _lost(self) -> bool:
        """Hold the lease on while a long upload gets on."""
        if time.monotonic() < self._extend_at:
            return False
        self._extend_at = time.monotonic() + _LEASE_S / 4
        try:
            with writing(self._engine) as connection:
                outbox.extend(connection, self._delivery, time.time(), _LEASE_S)
        except LeaseLost:
            return True
        return False


def contact_after(cause: str) -> Contact:
    """What a failed contact says about the peer."""
    return Contact.REFUSED if cause == "cloud_credentials_refused" else Contact.DOWN
