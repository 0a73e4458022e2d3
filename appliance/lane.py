"""A lane: lease, attempt, settle; one delivery at a time, the most urgent first.

Every destination has a lane of its own, so one that is down or slow holds up no other.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog
from sqlalchemy import Connection, Engine

from appliance.triage.queue import settle_if_done
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Contact, Delivery, LeaseLost
from store_forward.spool import Spool

log = structlog.get_logger()
_LEASE_S: Final = 600.0
_PAUSE_S: Final = 0.2

Settlement = Callable[[Connection, float], None]


class Carrier(Protocol):
    """Carries one delivery to its destination and returns the receipt's text."""

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Raises DeliveryDeferred or DeliveryRefused."""


class Lane:
    """Lease, attempt, settle; one delivery at a time, the most urgent first."""

    def __init__(self, name: str, kind: str, carrier: Carrier, engine: Engine, spool: Spool, cap_s: float) -> None:
        self.name = name
        self._kind = kind
        self._carrier = carrier
        self._engine = engine
        self._spool = spool
        self._cap_s = cap_s
        self._owner = f"{name}-{secrets.token_hex(8)}"
        self._rng = random.Random()

    def step(self, stop: Callable[[], bool]) -> bool:
        """Attempt the next delivery that is due; False when there is none."""
        with reading(self._engine) as connection:
            if not outbox.any_due(connection, self.name, time.time()):
                return False
        with writing(self._engine) as connection:
            delivery = outbox.lease(connection, self.name, self._owner, time.time(), _LEASE_S)
        if delivery is None:
            return False
        settle = self._attempt(delivery, stop)
        try:
            with writing(self._engine) as connection:
                settle(connection, time.time())
        except LeaseLost:
            log.warning("delivery.lease_lost", delivery=delivery.id, destination=self.name)
        return True

    def _attempt(self, delivery: Delivery, stop: Callable[[], bool]) -> Settlement:
        """Do the work outside any transaction; returns what is to be written about it."""
        path = self._spool.path(delivery.payload)
        if not self._spool.verify(delivery.payload):
            return self._refused(delivery, "spool_object_damaged", "run scanside check; the study can be read again")
        hold = _Hold(self._engine, delivery)
        try:
            receipt = self._carrier.carry(path, delivery, lambda: stop() or hold.ends())
        except DeliveryDeferred as deferred:
            if deferred.cause != "stopped":
                return self._deferred(delivery, deferred)
            return self._released(delivery, "gave_way" if hold.gave_way else "stopped")
        except DeliveryRefused as refused:
            return self._refused(delivery, refused.cause, refused.detail)
        return self._delivered(delivery, receipt)

    def _delivered(self, delivery: Delivery, receipt: str) -> Settlement:
        def write(connection: Connection, now: float) -> None:
            outbox.delivered(connection, delivery, receipt, now)
            outbox.record_contact(connection, self.name, self._kind, Contact.UP, "", now)
            settle_if_done(connection, delivery.subject, now)
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
        """Drain until told to stop."""
        while not stop.is_set():
            if not self.step(stop.is_set):
                stop.wait(_PAUSE_S)


class _Hold:
    """The lease of one attempt, and whether it should go on; asked between two chunks."""

    def __init__(self, engine: Engine, delivery: Delivery) -> None:
        self.gave_way = False
        self._engine = engine
        self._delivery = delivery
        self._extend_at = time.monotonic() + _LEASE_S / 4

    def ends(self) -> bool:
        """True when something more urgent is due for the same destination, or when the lease has been lost."""
        with reading(self._engine) as connection:
            more_urgent = self._delivery.priority - 1
            due = outbox.any_due(connection, self._delivery.destination, time.time(), least_urgent=more_urgent)
        self.gave_way = due
        return due or self._lost()

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
