"""The uplink: one lane per destination, each moving opaque spool objects and writing down how that went.

A lane that is down or slow holds up no other. Nothing is decoded here; what comes down the link is stored as it
came, and the triage worker applies it.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.sqlite import insert

from appliance.results.pacs import PacsLink
from appliance.schema import answers
from appliance.settings import Cloud, Pacs
from appliance.triage.queue import settle_if_done
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.outbox import Contact, Delivery, LeaseLost
from store_forward.spool import Spool
from store_forward.uplink import CloudLink

log = structlog.get_logger()
CLOUD = "cloud"
_LEASE_S = 600.0
_PAUSE_S = 0.2
_STOPPED = "stopped"


class Carrier(Protocol):
    """Carries one delivery to its destination and returns the receipt's text."""

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Raises DeliveryDeferred or DeliveryRefused."""


class CloudCarrier:
    """To the cloud sync endpoint, over HTTP."""

    def __init__(self, link: CloudLink) -> None:
        self._link = link

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """Upload what the cloud has not got yet; the receipt names the digest it has on stable storage."""
        receipt = self._link.deliver(
            path, delivery.payload, delivery.size_bytes, delivery.content_type, delivery.priority, stop
        )
        return receipt.model_dump_json()


class PacsCarrier:
    """To a PACS, by C-STORE."""

    def __init__(self, link: PacsLink) -> None:
        self._link = link

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:  # noqa: ARG002
        """Send one composite instance; the receipt is the PACS's success status."""
        return self._link.deliver(path)


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
        self._extend_at = 0.0

    def step(self, stop: Callable[[], bool]) -> bool:
        """Attempt the next delivery that is due; False when there is none."""
        with reading(self._engine) as connection:
            if not outbox.any_due(connection, self.name, time.time()):
                return False
        with writing(self._engine) as connection:
            delivery = outbox.lease(connection, self.name, self._owner, time.time(), _LEASE_S)
        if delivery is None:
            return False
        self._extend_at = time.monotonic() + _LEASE_S / 4
        settle = self._attempt(delivery, stop)
        try:
            with writing(self._engine) as connection:
                settle(connection, time.time())
        except LeaseLost:
            log.warning("delivery.lease_lost", delivery=delivery.id, destination=self.name)
        return True

    def _attempt(self, delivery: Delivery, stop: Callable[[], bool]) -> Callable[[Connection, float], None]:
        """Do the work outside any transaction; returns what is to be written about it."""
        path = self._spool.path(delivery.payload)
        if not self._spool.verify(delivery.payload):
            return self._refused(delivery, "spool_object_damaged", "run scanside check; the study can be read again")
        try:
            receipt = self._carrier.carry(path, delivery, lambda: self._keep_lease(delivery) or stop())
        except DeliveryDeferred as deferred:
            return self._deferred(delivery, deferred)
        except DeliveryRefused as refused:
            return self._refused(delivery, refused.cause, refused.detail)
        return self._delivered(delivery, receipt)

    def _keep_lease(self, delivery: Delivery) -> bool:
        """Asked between chunks: hold the lease on while a long upload gets on; True when it has been lost."""
        if time.monotonic() < self._extend_at:
            return False
        self._extend_at = time.monotonic() + _LEASE_S / 4
        try:
            with writing(self._engine) as connection:
                outbox.extend(connection, delivery, time.time(), _LEASE_S)
        except LeaseLost:
            return True
        return False

    def _delivered(self, delivery: Delivery, receipt: str) -> Callable[[Connection, float], None]:
        def write(connection: Connection, now: float) -> None:
            outbox.delivered(connection, delivery, receipt, now)
            outbox.record_contact(connection, self.name, self._kind, Contact.UP, "", now)
            settle_if_done(connection, delivery.subject, now)
            log.info("delivery.delivered", delivery=delivery.id, kind=delivery.kind, destination=self.name)

        return write

    def _deferred(self, delivery: Delivery, error: DeliveryDeferred) -> Callable[[Connection, float], None]:
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
            if error.cause != _STOPPED:  # our own end says nothing about the peer
                outbox.record_contact(connection, self.name, self._kind, _contact_after(error.cause), error.cause, now)
            log.info("delivery.deferred", delivery=delivery.id, cause=error.cause, again_in_s=round(pause_s, 1))

        return write

    def _refused(self, delivery: Delivery, cause: str, detail: str) -> Callable[[Connection, float], None]:
        def write(connection: Connection, now: float) -> None:
            outbox.refused(connection, delivery, cause, detail, now)
            log.warning("delivery.parked", delivery=delivery.id, cause=cause, destination=self.name)

        return write

    def run(self, stop: threading.Event) -> None:
        """Take back what an earlier process held, then drain until told to stop."""
        with writing(self._engine) as connection:
            outbox.take_back(connection, self.name, time.time())
        while not stop.is_set():
            if not self.step(stop.is_set):
                stop.wait(_PAUSE_S)


def _contact_after(cause: str) -> Contact:
    return Contact.REFUSED if cause == "cloud_credentials_refused" else Contact.DOWN


class AnswerLane:
    """Fetches answers, keeps them durably, then moves the cursor: all in one transaction.

    It is also the link's pulse: the first answer to a poll after an outage makes everything that waits due at once,
    and the lane then takes the urgent first.
    """

    def __init__(self, link: CloudLink, engine: Engine, wait_s: float) -> None:
        self._link = link
        self._engine = engine
        self._wait_s = wait_s

    def step(self, now: Callable[[], float] = time.time) -> bool:
        """One poll; False when the cloud could not be reached."""
        with reading(self._engine) as connection:
            after = outbox.read_cursor(connection, CLOUD)
            was_up = outbox.contact_of(connection, CLOUD) is Contact.UP
        try:
            found = self._link.answers(after, self._wait_s if was_up else 0.0)
        except DeliveryDeferred as deferred:
            with writing(self._engine) as connection:
                outbox.record_contact(connection, CLOUD, "cloud", _contact_after(deferred.cause), deferred.cause, now())
            return False
        if was_up and not found:
            return True
        with writing(self._engine) as connection:
            outbox.record_contact(connection, CLOUD, "cloud", Contact.UP, "", now())
            if not was_up:
                outbox.wake(connection, CLOUD, now())
            for answer in found:
                row = {
                    "seq": answer.seq,
                    "payload": answer.case,
                    "body": answer.model_dump_json(),
                    "received_at": now(),
                }
                connection.execute(insert(answers).values(**row).on_conflict_do_nothing())
            if found:
                outbox.advance_cursor(connection, CLOUD, max(answer.seq for answer in found))
        return True

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop; every 2 s while the link is down, and never without a pause between two polls."""
        while not stop.is_set():
            stop.wait(_PAUSE_S if self.step() else 2.0)


def build_lanes(
    cloud: Cloud, token: str | None, pacs: tuple[Pacs, ...], own_title: str, engine: Engine, spool: Spool
) -> list[Lane | AnswerLane]:
    """Every lane the configuration asks for."""
    lanes: list[Lane | AnswerLane] = []
    if cloud.url is not None:
        up, down = (
            CloudLink(cloud.url, token or "", cloud.box_id, cloud.chunk_bytes, cloud.timeout_s) for _ in range(2)
        )  # one connection each: a long poll must not hold up an upload
        lanes.append(Lane(CLOUD, "cloud", CloudCarrier(up), engine, spool, cloud.backoff_cap_s))
        lanes.append(AnswerLane(down, engine, cloud.answer_wait_s))
    for peer in pacs:
        pacs_link = PacsLink(peer.host, peer.port, peer.ae_title, own_title, peer.timeout_s)
        lanes.append(Lane(peer.name, "pacs", PacsCarrier(pacs_link), engine, spool, cloud.backoff_cap_s))
    return lanes
