"""The triage worker: one complete study at a time, from spool files to one committed decision.

Untrusted pixels are decoded only here. The kernel ends this process when a decoder hangs or grows; the attempt was
counted before, so the same study cannot end it for ever.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, select

from appliance.disk.reconcile import read_again
from appliance.home import Home
from appliance.packs import packs_mark
from appliance.privacy.package import site_key
from appliance.rules.verdict import UNRULED, Verdict
from appliance.schema import studies
from appliance.settings import Settings
from appliance.triage.amend import apply_next_answer
from appliance.triage.asked_escalation import carry_out_next
from appliance.triage.messages import apply_next_message, lines_in_use
from appliance.triage.outcome_rows import Prepared, commit_outcome
from appliance.triage.payloads import PayloadMaker
from appliance.triage.queue import Claim, claim_next, complete_quiet_studies, requeue_interrupted
from appliance.triage.readers import Readers, open_readers
from appliance.triage.ruling import Ruling
from models.asking_again import AskingAgain
from models.decision import Decision, ImageResult, StudyDecision, decide_study
from models.reasons import Reason
from store_forward.database import reading, writing
from store_forward.errors import SpoolFull
from store_forward.spool import Spool

log = structlog.get_logger()


class TriageWorker:
    """Reads studies with the packs of this box."""

    def __init__(
        self,
        settings: Settings,
        home: Home,
        opening: Callable[[], AbstractContextManager[None]] = nullcontext,
        asking_again: AskingAgain | None = None,
    ) -> None:
        """``opening`` is entered whenever packs are opened, which may take long and commits nothing."""
        self._opening = opening
        self._settings = settings
        self._asking_again = asking_again or AskingAgain()
        self._home = home
        self._engine: Engine = home.engine
        self._readers: Readers | None = None
        self._roomy = True
        # Reception stops at the floor and triage only at half of it: what was acknowledged is still read.
        marks = settings.limits.free_disk
        self._spool = Spool(
            home.spool.root, marks.floor_bytes // 2, marks.bulk_bytes, marks.warn_bytes, home.spool.seal
        )
        self._payloads = PayloadMaker(settings, self._spool, site_key(home.site_key_path, home.spool.seal))

    def start(self, now: float) -> None:
        """Take up what the last worker left, choose the device for each pack and write down the choice."""
        with writing(self._engine) as connection:
            requeue_interrupted(connection, now)
        self._open_readers(now)

    def step(self, now: float) -> bool:
        """Do the next piece of work: a message or an answer from the cloud, or a study. False when there is none.

        Without disk room for its payloads no study is claimed: it waits, and no attempt is counted. A pack that was
        activated since the last piece of work reads from here on. When the disk did not give a pack it is asked
        again, and for a while no study is claimed.
        """
        changed = self._readers is not None and self._readers.mark != packs_mark(self._settings)
        if changed or self._asking_again.due:
            self._open_readers(now)
            log.info("packs.reloaded")
        if self._readers is not None and apply_next_message(self._engine, self._readers.packs_in_use, now):
            self._take_lines()
            return True
        if not self._has_room():
            return False
        if apply_next_answer(self._engine, self._payloads, self._home.spool, now):
            return True
        if carry_out_next(self._engine, self._payloads, self._home.spool, self._settings.limits.triage_attempts, now):
            return True
        if self._asking_again.images_wait:
            return False
        with writing(self._engine) as connection:
            complete_quiet_studies(connection, now)
            claim = claim_next(connection, now)
        if claim is None:
            return False
        self._read_and_commit(claim, now)
        return True

    def _open_readers(self, now: float) -> None:
        with self._opening():
            self._readers = open_readers(self._settings, self._home.devices_cache)
        lacks_packs = self._readers.triage.lacks_packs
        with writing(self._engine) as connection:
            self._readers.record_devices(connection, now)
            if not lacks_packs:
                self._read_again(connection, now)
        self._asking_again.note(lacks_packs)
        self._take_lines()

    def _take_lines(self) -> None:
        assert self._readers is not None, "start() comes first"
        with reading(self._engine) as connection:
            self._readers.read_with(lines_in_use(connection))

    def _read_again(self, connection: Connection, now: float) -> None:
        """What could not be read because the disk did not give a pack; now all packs are here."""
        query = select(studies.c.study_instance_uid).where(studies.c.reason == Reason.pack_unreadable.value)
        for uid in connection.execute(query).scalars().all():
            read_again(connection, self._home.spool, uid, "the disk gives all packs again", now)

    def _has_room(self) -> bool:
        had, self._roomy = self._roomy, True
        try:
            self._spool.require_room()
        except SpoolFull as full:
            self._roomy = False
            if had:
                log.error("triage.waiting", cause=str(full))
        return self._roomy

    def _read_and_commit(self, claim: Claim, now: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._settings.limits.triage_timeout_s)
        try:
            prepared = self._prepare(claim, now)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        with writing(self._engine) as connection:
            committed = commit_outcome(connection, claim, prepared)
        log.info(
            "study.decided" if committed else "study.reopened_while_reading",
            decision=prepared.outcome.decision.value,
            reason=prepared.outcome.reason,
            images=len(claim.instances),
        )

    def _prepare(self, claim: Claim, now: float) -> Prepared:
        paths = [self._home.spool.file(digest) for _, digest in claim.instances]
        most = self._settings.limits.triage_attempts
        if claim.attempt > most:
            given_up = StudyDecision(Decision.not_triaged, Reason.worker_gave_up, f"{most} attempts")
            headers = paths if claim.attempt == most + 1 else []  # should even a header bring the worker down
            ruling = Ruling(self._settings, headers, claim)
            orders = ruling.orders(given_up.reason)
            prepared = self._payloads.prepare(claim, headers, [], given_up, now, with_pixels=False, orders=orders)
            return ruling.written_into(prepared)
        ruling = Ruling(self._settings, paths, claim)
        results = [
            self._read(uid, path, verdict)
            for (uid, _), path, verdict in zip(claim.instances, paths, ruling.verdicts, strict=True)
        ]
        decision = decide_study(results)
        prepared = self._payloads.prepare(claim, paths, results, decision, now, orders=ruling.orders(decision.reason))
        return ruling.written_into(prepared)

    def _read(self, sop_instance_uid: str, path: Path, verdict: Verdict = UNRULED) -> ImageResult:
        assert self._readers is not None, "start() comes first"
        if verdict.reason is not None:
            return ImageResult(sop_instance_uid, Decision.not_triaged, verdict.reason, verdict.words)
        if not path.exists():
            detail = "its file is no longer in the spool; the history says why, else run scanside check"
            return ImageResult(sop_instance_uid, Decision.not_triaged, Reason.unreadable_pixels, detail)
        return self._readers.triage.image(path)
