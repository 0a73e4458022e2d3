"""Storage commitment as SCP (PS3.4 Annex J): requests, and reports on the association that they came on.

A request is answered once it is durable. What has not been reported when its association ends, or soon after, is the
uplink's to report; so it is when this process dies.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from itertools import chain
from typing import Final

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModelInstance
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from appliance.ingest.commitment_reports import NotReported, NotTaken, log_reported, report_of, report_on
from appliance.ingest.commitment_requests import (
    Reference,
    Request,
    TooManyRequests,
    ask,
    hand_over,
    owed,
    refused,
    reported,
)
from appliance.ingest.commitment_verdict import look_for, promise
from appliance.ingest.header import is_uid
from appliance.results.commitment_service import (
    INVALID_ARGUMENT_VALUE,
    NO_SUCH_SOP_INSTANCE,
    REQUEST_COMMITMENT,
    RESOURCE_LIMITATION,
    SUCCESS,
)
from appliance.settings import Settings
from models.tolerant_reading import DAMAGED
from store_forward.database import reading, writing
from store_forward.spool import Spool

log = structlog.get_logger()
#: PS3.7 C.
NO_SUCH_ACTION: Final = 0x0123
NOT_AUTHORISED: Final = 0x0124
_LOOK_S: Final = 0.02


class RequestRefused(Exception):
    """A request is not taken and nothing was written; who asks gets ``status``."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class CommitmentDoor:
    """For one receiver; ``supported`` are the SOP classes that are taken in."""

    def __init__(self, settings: Settings, engine: Engine, spool: Spool, supported: Collection[str]) -> None:
        self._settings = settings
        self._engine = engine
        self._spool = spool
        self._supported = frozenset(supported)
        self._waiting: dict[int, deque[tuple[int, float, float]]] = {}  # by association, which has one thread
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether we commit to anything at all."""
        return self._settings.commits

    def answer(self, event: evt.Event) -> tuple[int, None]:
        """Write a request down, then answer it; the report follows."""
        caller = str(event.assoc.requestor.ae_title).strip()
        try:
            transaction_uid, references = self._read(event)
            self._write(event.assoc, caller, transaction_uid, references)
        except RequestRefused as no:
            log.warning("commitment.request_refused", status=f"0x{no.status:04X}", why=no.why, ae_title=caller)
            return no.status, None
        log.info("commitment.requested", ae_title=caller, instances=len(references))
        return SUCCESS, None

    def _read(self, event: evt.Event) -> tuple[str, tuple[Reference, ...]]:
        if str(event.request.RequestedSOPInstanceUID) != StorageCommitmentPushModelInstance:
            raise RequestRefused(NO_SUCH_SOP_INSTANCE, "not for the well-known instance")
        if event.action_type != REQUEST_COMMITMENT:
            raise RequestRefused(NO_SUCH_ACTION, "an Action Type ID that is not 1")
        try:
            information = event.action_information
            transaction_uid = str(information.TransactionUID)
            references = tuple(
                (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID))
                for one in information.ReferencedSOPSequence
            )
        except DAMAGED as error:
            kind = type(error).__name__
            raise RequestRefused(INVALID_ARGUMENT_VALUE, f"the action information cannot be read ({kind})") from None
        if not references or not all(map(is_uid, (transaction_uid, *chain.from_iterable(references)))):
            raise RequestRefused(INVALID_ARGUMENT_VALUE, "it names nothing, or something that is not a valid UID")
        if len(references) > self._settings.limits.max_study_instances:
            raise RequestRefused(RESOURCE_LIMITATION, "it names more than max_study_instances instances")
        return transaction_uid, references

    def _write(
        self, association: Association, caller: str, transaction_uid: str, references: tuple[Reference, ...]
    ) -> None:
        now, hold_s = time.time(), self._hold_s(caller)
        most = self._settings.commitment.max_requests
        try:
            with writing(self._engine) as connection:
                new = ask(connection, transaction_uid, caller, references, now + hold_s, most, now)
        except TooManyRequests:
            raise RequestRefused(RESOURCE_LIMITATION, "max_requests are still to be reported on") from None
        except DBAPIError as error:  # a full or broken disk: it may be asked again
            raise RequestRefused(RESOURCE_LIMITATION, f"not written ({type(error.orig).__name__})") from error
        if new is not None:
            began = time.monotonic()
            self._report_soon(association, (new, began + self._settings.commitment.wait_s, began + hold_s))

    def _hold_s(self, caller: str) -> float:
        """So long a report is ours; without an address it has no other way than this association."""
        if self._settings.report_address_for(caller) is None:
            return self._settings.dicom.association_timeout_for(caller)
        return self._settings.commitment.wait_s + self._settings.commitment.timeout_s

    def _report_soon(self, association: Association, what: tuple[int, float, float]) -> None:
        with self._lock:
            waiting = self._waiting.get(id(association))
            if waiting is not None:
                waiting.append(what)
                return
            self._waiting[id(association)] = deque([what])
        threading.Thread(target=self._report_all, args=(association,), daemon=True).start()

    def _report_all(self, association: Association) -> None:
        while (what := self._next(association)) is not None:
            try:
                self._report(association, *what)
            except (OSError, DBAPIError) as error:  # the disk; the uplink reports when the hold is over
                log.error("commitment.report_waits", kind=type(error).__name__)

    def _next(self, association: Association) -> tuple[int, float, float] | None:
        with self._lock:
            waiting = self._waiting[id(association)]
            if not waiting:
                del self._waiting[id(association)]
                return None
            return waiting.popleft()

    def _report(self, association: Association, request_id: int, begin: float, end: float) -> None:
        """Look, wait for a moment, report; between ``begin`` and ``end`` of the monotonic clock, s."""

        def go_on() -> bool:
            return bool(association.is_established) and time.monotonic() < end

        with reading(self._engine) as connection:
            request = owed(connection, request_id)
        if request is None:
            return
        found = look_for(self._engine, self._spool, request, self._supported, go_on)
        while go_on() and time.monotonic() < begin:
            time.sleep(_LOOK_S)
        if found is None or not go_on():
            self._settle(lambda connection, now: hand_over(connection, [request.id], now))
            return
        verdict = promise(self._engine, found, time.time())
        timeout_s = min(end - time.monotonic(), self._settings.commitment.timeout_s)
        try:
            report_on(association, *report_of(request, verdict), timeout_s)
        except NotReported as failed:
            log.info("commitment.association_left", ae_title=request.ae_title, cause=failed.cause)
            self._settle(lambda connection, now: hand_over(connection, [request.id], now))
        except NotTaken as no:
            self._not_taken(request, no)
        else:
            log_reported(request, verdict)
            counts = len(verdict.committed), len(verdict.failed)
            self._settle(lambda connection, now: reported(connection, request, *counts, now))

    def _not_taken(self, request: Request, no: NotTaken) -> None:
        log.warning("commitment.report_not_taken", ae_title=request.ae_title, cause=no.cause)
        self._settle(lambda connection, now: refused(connection, request, no.cause, now))

    def _settle(self, write: Callable[[Connection, float], None]) -> None:
        with writing(self._engine) as connection:
            write(connection, time.time())
