"""Carries a result to a PACS: stored, and where the PACS offers it, committed to be kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydicom.uid import (
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from pynetdicom import evt
from sqlalchemy import Engine

from appliance.results.commitment_service import answer_report
from appliance.results.commitments import Outcome, Transaction, begin, close, is_for_good, last_of, reason_words
from appliance.results.pacs import Exchange, PacsLink
from appliance.settings import Pacs
from store_forward.database import reading, writing
from store_forward.errors import DeliveryAwaits, DeliveryDeferred, DeliveryRefused, LeaseLost
from store_forward.outbox import Delivery

_LOOK_S: Final = 0.05
#: What results are made as; one association serves all of these that are due.
RESULT_CLASSES: Final = (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
)


class PacsCarrier:
    """One attempt either gives a receipt, or asks for commitment, or acts on what became of the last request.

    Whoever takes a delivery up whose last request has neither been answered nor acted on knows that its time is over
    or that the attempt was cut short, and asks again under a new transaction.
    """

    def __init__(self, peer: Pacs, own_title: str, engine: Engine) -> None:
        self._peer = peer
        self._link = PacsLink(peer.host, peer.port, peer.ae_title, own_title, peer.timeout_s, peer.tls, RESULT_CLASSES)
        self._engine = engine

    def carry(self, path: Path, delivery: Delivery, stop: Callable[[], bool]) -> str:
        """The receipt's first words say of which kind it is. Raises as a Carrier does."""
        last = self._last(delivery)
        if last is not None and last.to_act_on:
            return self._act_on(last)
        if self._peer.commitment == "never":
            return f"stored, commitment not asked for; {self._link.deliver(path)}"
        with self._link.exchange(path, self._answer_report) as exchange:
            stored = exchange.store() if last is None or last.store_again else last.stored
            if not exchange.offers_commitment:
                return self._stored_only(stored)
            self._ask(exchange, delivery, stored)
            if not self._reported_soon(exchange, delivery, stop):
                raise DeliveryAwaits("commitment_awaited", f"stored with {stored}")
        last = self._last(delivery)
        assert last is not None  # it has just been reported on
        return self._act_on(last)

    def rest(self) -> None:
        """Nothing is due: release the association that served what was."""
        self._link.rest()

    def _last(self, delivery: Delivery) -> Transaction | None:
        with reading(self._engine) as connection:
            return last_of(connection, delivery.id)

    def _act_on(self, last: Transaction) -> str:
        """Raises DeliveryDeferred or DeliveryRefused unless it was committed."""
        if last.outcome is Outcome.COMMITTED:
            return f"committed; transaction {last.transaction_uid}, stored with {last.stored}"
        self._close(last.transaction_uid)
        if last.outcome is None:
            raise DeliveryDeferred(
                "pacs_commitment_silent", "stored, but no report on its commitment has come; asking again"
            )
        why = f"the archive does not commit to keep it: {reason_words(last.failure_reason)}"
        if is_for_good(last.failure_reason):
            raise DeliveryRefused("pacs_commitment_failed", why)
        raise DeliveryDeferred("pacs_commitment_failed", why)

    def _stored_only(self, stored: str) -> str:
        if self._peer.commitment == "required":
            raise DeliveryRefused(
                "pacs_no_commitment",
                f"stored with {stored}, but the archive does not take requests for storage commitment from us, "
                'and commitment = "required"',
            )
        return f"stored, peer offers no commitment; {stored}"

    def _ask(self, exchange: Exchange, delivery: Delivery, stored: str) -> None:
        transaction_uid = str(generate_uid(prefix=None))
        instance = exchange.sop_instance_uid
        wait_s = self._peer.commitment_wait_s
        try:
            with writing(self._engine) as connection:
                begin(connection, delivery, transaction_uid, instance, stored, time.time(), wait_s)
        except LeaseLost:
            raise DeliveryDeferred("stopped", "the lease was lost meanwhile") from None
        try:
            exchange.ask_commitment(transaction_uid, instance)
        except (DeliveryDeferred, DeliveryRefused):
            self._close(transaction_uid)
            raise

    def _close(self, transaction_uid: str) -> None:
        with writing(self._engine) as connection:
            close(connection, transaction_uid, time.time())

    def _reported_soon(self, exchange: Exchange, delivery: Delivery, stop: Callable[[], bool]) -> bool:
        """Keep the association for a moment: some archives report on it, others at once on another."""
        give_up = time.monotonic() + self._peer.commitment_hold_s
        while True:
            last = self._last(delivery)
            if last is not None and last.outcome is not None and last.to_act_on:
                return True
            if time.monotonic() >= give_up or not exchange.is_open or stop():
                return False
            time.sleep(_LOOK_S)

    def _answer_report(self, event: evt.Event) -> tuple[int, None]:
        return answer_report(self._engine, {self._peer.name}, event)
