"""The uplink's part of storage commitment: whatever report is due goes out, on an association of our own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

import structlog
from sqlalchemy import Engine

from appliance.ingest.commitment_reports import NotReported, NotTaken, log_reported, report_of, report_to
from appliance.ingest.commitment_requests import Request, bring_forward, deferred, next_owed, refused, reported
from appliance.ingest.commitment_verdict import Verdict, look_for, promise
from appliance.settings import Settings
from store_forward.database import reading, writing
from store_forward.spool import Spool

log = structlog.get_logger()
_PAUSE_S: Final = 0.5
_DAY_S: Final = 86_400.0


class CommitmentReporter:
    """Runs in the uplink: whatever report is due goes to the address its asker is configured with."""

    def __init__(self, settings: Settings, engine: Engine, spool: Spool, supported: Collection[str]) -> None:
        """``supported`` are the SOP classes that are taken in."""
        self._settings = settings
        self._engine = engine
        self._spool = spool
        self._rng = random.Random()
        self._supported = frozenset(supported)

    def run(self, stop: threading.Event) -> None:
        """Report what is due until told to stop."""
        with writing(self._engine) as connection:
            bring_forward(connection, time.time())
        while not stop.is_set():
            if not self.step(stop.is_set):
                stop.wait(_PAUSE_S)

    def step(self, stop: Callable[[], bool]) -> bool:
        """Make and send the next report that is due; False when there is none."""
        with reading(self._engine) as connection:
            request = next_owed(connection, time.time())
        if request is None:
            return False
        try:
            verdict = self._report(request, stop)
        except NotTaken as no:
            log.warning("commitment.report_not_taken", ae_title=request.ae_title, cause=no.cause)
            with writing(self._engine) as connection:
                refused(connection, request, no.cause, time.time())
        except (NotReported, OSError) as failed:
            self._defer(request, failed)
        else:
            if verdict is not None:
                log_reported(request, verdict)
                with writing(self._engine) as connection:
                    reported(connection, request, len(verdict.committed), len(verdict.failed), time.time())
        return True

    def _report(self, request: Request, stop: Callable[[], bool]) -> Verdict | None:
        address = self._settings.report_address_for(request.ae_title)
        if address is None:
            raise NotReported("no_report_address", peer=True)
        found = look_for(self._engine, self._spool, request, self._supported, lambda: not stop())
        if found is None:
            return None
        verdict, titles = promise(self._engine, found, time.time()), (self._settings.dicom.ae_title, request.ae_title)
        report_to(address, titles, *report_of(request, verdict), self._settings.commitment.timeout_s)
        return verdict

    def _defer(self, request: Request, failed: NotReported | OSError) -> None:
        cause = failed.cause if isinstance(failed, NotReported) else "disk_unreadable"
        peer = isinstance(failed, NotReported) and failed.peer
        give_up_s = self._settings.commitment.give_up_days * _DAY_S
        with writing(self._engine) as connection:
            pause_s = deferred(connection, request, cause, give_up_s, time.time(), self._rng, peer=peer)
        if pause_s is None:
            log.error("commitment.report_given_up", ae_title=request.ae_title, cause=cause)
        else:
            log.warning("commitment.report_waits", ae_title=request.ae_title, cause=cause, again_in_s=round(pause_s, 1))
