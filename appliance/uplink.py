"""The uplink: what carries deliveries to each kind of destination, and what brings answers back.

Nothing is decoded here; what comes down the link is stored as it came, and the triage worker applies it.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import ConfigurationInvalid
from appliance.lane import Lane, contact_after
from appliance.line import Line, Window
from appliance.messages import keep_message, mark_told, untold
from appliance.results.carrier import PacsCarrier
from appliance.results.stow import StowLink
from appliance.results.webhook import WebhookLink
from appliance.schema import answers
from appliance.settings import Cloud, Pacs, Settings
from store_forward import outbox
from store_forward.bandwidth import Bandwidth
from store_forward.database import reading, writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.exchange import Exchange
from store_forward.identity import Identity, KeptCurrent
from store_forward.moves import WOKEN_AT_ONCE
from store_forward.outbox import Contact, Delivery
from store_forward.spool import Spool
from store_forward.uplink import CloudLink

log = structlog.get_logger()
CLOUD = "cloud"
IDENTITY = "cloud-identity.pem"
_PAUSE_S = 0.2


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


class AnswerLane:
    """Fetches answers and messages, keeps them durably, then moves the cursor: all in one transaction.

    What became of a message is told after a poll, again and again until the cloud has it.

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
            found = self._link.fetch(after, self._wait_s if was_up else 0.0)
        except DeliveryDeferred as deferred:
            with writing(self._engine) as connection:
                outbox.record_contact(connection, CLOUD, "cloud", contact_after(deferred.cause), deferred.cause, now())
            return False
        if was_up and not found.numbers:
            self._tell(now)
            return True
        with writing(self._engine) as connection:
            outbox.record_contact(connection, CLOUD, "cloud", Contact.UP, "", now())
            for message in found.messages:
                keep_message(connection, message, now())
            for answer in found.answers:
                row = {
                    "seq": answer.seq,
                    "payload": answer.case,
                    "body": answer.model_dump_json(),
                    "received_at": now(),
                }
                connection.execute(insert(answers).values(**row).on_conflict_do_nothing())
            if found.numbers:
                outbox.advance_cursor(connection, CLOUD, found.numbers[-1])
        if not was_up:
            self._wake(now)
        self._tell(now)
        return True

    def _tell(self, now: Callable[[], float]) -> None:
        """Say what became of messages; what the cloud does not take now is told after the next poll."""
        with reading(self._engine) as connection:
            outcomes = untold(connection)
        if not outcomes:
            return
        try:
            self._link.tell(outcomes)
        except (DeliveryDeferred, DeliveryRefused) as failed:
            log.warning("outcomes.not_told", cause=failed.cause)
            return
        with writing(self._engine) as connection:
            mark_told(connection, outcomes, now())

    def _wake(self, now: Callable[[], float]) -> None:
        """Bit by bit, so that a long queue keeps nobody from writing meanwhile."""
        moved = WOKEN_AT_ONCE
        while moved == WOKEN_AT_ONCE:
            with writing(self._engine) as connection:
                moved = outbox.wake(connection, CLOUD, now())

    def run(self, stop: threading.Event) -> None:
        """Poll until told to stop; every 2 s while the link is down, and never without a pause between two polls."""
        while not stop.is_set():
            stop.wait(_PAUSE_S if self.step() else 2.0)


def build_lanes(
    cloud: Cloud,
    token: str | None,
    pacs: tuple[Pacs, ...],
    own_title: str,
    engine: Engine,
    spool: Spool,
    webhooks: Sequence[WebhookLink] = (),
    stow_servers: Sequence[StowLink] = (),
    tls: ssl.SSLContext | None = None,
) -> list[Lane | AnswerLane]:
    """Every lane the configuration asks for. ``tls``: how the cloud is spoken to, see :func:`identity_of`."""
    lanes: list[Lane | AnswerLane] = []
    if cloud.url is not None:
        lanes += _cloud_lanes(cloud, cloud.url, token, engine, spool, tls)
    for peer in pacs:
        carrier = PacsCarrier(peer, own_title, engine)
        lanes.append(Lane(peer.name, "pacs", carrier, engine, spool, cloud.backoff_cap_s, rest=carrier.rest))
    lanes += [Lane(link.name, "stow", link, engine, spool, cloud.backoff_cap_s) for link in stow_servers]
    lanes += [Lane(link.name, "webhook", link, engine, spool, cloud.backoff_cap_s) for link in webhooks]
    return lanes


def identity_of(settings: Settings) -> Identity | None:
    """By what the cloud knows this box; None without a cloud, or with one on this machine that speaks plain HTTP.

    Raises ConfigurationInvalid: the authorities or the box's own certificate cannot be used.
    """
    cloud = settings.cloud
    if cloud.url is None or not cloud.url.startswith("https:"):
        return None
    path = settings.home / IDENTITY
    try:
        return Identity(path, cloud.ca)
    except OSError as error:  # ssl.SSLError is one
        what = f"{cloud.ca} or {path}" if cloud.ca else f"{path}"
        words = f"{what} cannot be used: {error.strerror or error}; give PEM files, or enrol this box again"
        raise ConfigurationInvalid("cloud", (words,)) from None


def renewal_of(settings: Settings, identity: Identity) -> KeptCurrent:
    """What keeps the box's certificate current."""
    exchange = Exchange(settings.cloud.url or "", None, settings.cloud.timeout_s, tls=identity.context)
    return KeptCurrent(identity, exchange, settings.cloud.box_id, time.time)


def _cloud_lanes(
    cloud: Cloud, url: str, token: str | None, engine: Engine, spool: Spool, tls: ssl.SSLContext | None
) -> list[Lane | AnswerLane]:
    """Each with a connection of its own: neither a long poll nor a large upload holds another up."""
    bandwidth = Bandwidth(cloud.most_kbit_per_s * 125) if cloud.most_kbit_per_s is not None else None
    window = Window.between(cloud.bulk_from, cloud.bulk_until) if cloud.bulk_from and cloud.bulk_until else None
    line = Line(window)

    def link() -> CloudLink:
        return CloudLink(
            url,
            token,
            cloud.box_id,
            cloud.chunk_bytes,
            cloud.timeout_s,
            bandwidth=bandwidth,
            largest_chunk_bytes=cloud.largest_chunk_bytes,
            tls=tls,
        )

    up: list[Lane | AnswerLane] = [
        Lane(CLOUD, "cloud", CloudCarrier(link()), engine, spool, cloud.backoff_cap_s, line)
        for _ in range(cloud.max_uploads)
    ]
    return [*up, AnswerLane(link(), engine, cloud.answer_wait_s)]
