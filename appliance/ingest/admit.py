"""Take one instance in: spool first, row second, and only then may anybody say "stored"."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, update
from sqlalchemy.exc import DBAPIError

from appliance.audit.kept import study_received
from appliance.disk.days import count_received
from appliance.disk.reconcile import mend
from appliance.disk.retention import supersede
from appliance.errors import (
    DataSetDoesNotMatch,
    InstanceConflict,
    InstanceTooLarge,
    OutOfResources,
    ReceiveError,
)
from appliance.history import record_event
from appliance.ingest.aside import known_among, list_aside
from appliance.ingest.header import Header, Seen, dataset_digest, header_of, read_header
from appliance.ingest.plain_header import plain_header
from appliance.ingest.procedure_steps import image_arrived
from appliance.ingest.statements import (
    COUNT_IN,
    NEW_INSTANCE,
    ONE_MORE,
    HeldStudy,
    KnownInstance,
    held_study,
    known_instance,
)
from appliance.schema import StudyState, instances, studies
from appliance.settings import Dicom, Limits
from store_forward.database import reading, writing
from store_forward.durable import StrPath
from store_forward.errors import SpoolFull
from store_forward.shared_commit import SharedCommit
from store_forward.spool import Spool, StoredObject


class Admitted(StrEnum):
    """Both are acknowledged with 0x0000."""

    STORED = "stored"
    ALREADY_HELD = "already_held"


#: States in which a newcomer means that the decision, or the one being made, no longer covers the study.
_PAST_READING = (StudyState.TRIAGING, StudyState.DECIDED, StudyState.SETTLED)


class Admission:
    """The gate of the box; used by the receiver and by the watched folder alike."""

    def __init__(self, engine: Engine, spool: Spool, limits: Limits, dicom: Dicom) -> None:
        self._engine = engine
        self._commits = SharedCommit(engine, undone_by=(ReceiveError, OSError, DBAPIError))
        self._spool = spool
        self._limits = limits
        self._dicom = dicom

    def admit(
        self,
        temporary: StrPath,
        source: str,
        now: float,
        announced: tuple[str, str] | None = None,
        seen: Seen | None = None,
    ) -> tuple[Admitted, str]:
        """Move a received file into the spool and commit its row.

        Args:
            temporary: a Part 10 file inside the spool's incoming folder; it is moved away or removed.
            source: calling AE title, or ``FOLDER``.
            now: seconds since the epoch.
            announced: (SOP class, SOP instance) of the C-STORE request, to be found again in the data set.
            seen: what the caller knows of the file, having written it.

        Returns:
            what became of it and its StudyInstanceUID, after both are durable.

        Raises:
            OutOfResources: disk under its floor, or the database cannot commit. Nothing is kept.
            InstanceTooLarge: over ``max_instance_bytes`` or ``max_study_instances``.
            CannotUnderstand, DataSetDoesNotMatch, InstanceConflict: kept aside with its reason.
        """
        size_bytes = self._spool.content_bytes(temporary) if seen is None else seen.size_bytes
        if size_bytes > self._limits.max_instance_bytes:
            Path(temporary).unlink()
            raise InstanceTooLarge(f"instance of {size_bytes} bytes is over max_instance_bytes")
        found = None if seen is None else plain_header(seen.head)  # while the disk is at it
        kept = self._keep(temporary, seen)
        try:
            return self._file(kept, source, now, announced, found)
        except DBAPIError as error:
            raise OutOfResources(f"the database cannot commit ({type(error.orig).__name__})") from error

    def _keep(self, temporary: StrPath, seen: Seen | None = None) -> StoredObject:
        """Into the spool, unless that would go below the floor; what cannot be kept must not fill the disk either."""
        try:
            self._spool.require_room()
            if seen is None:
                return self._spool.keep(Path(temporary))
            return self._spool.keep_as(temporary, seen.digest, seen.size_bytes)
        except (SpoolFull, OSError) as error:
            Path(temporary).unlink(missing_ok=True)
            if isinstance(error, SpoolFull):
                raise OutOfResources(f"disk nearly full, send again later: {error}") from error
            raise OutOfResources(f"the spool cannot be written: {error.strerror}") from error

    def _file(
        self,
        kept: StoredObject,
        source: str,
        now: float,
        announced: tuple[str, str] | None,
        found: tuple[dict[str, str], str] | None,
    ) -> tuple[Admitted, str]:
        header: Header | None = None
        try:
            header = read_header(self._spool.file(kept.digest)) if found is None else header_of(*found)
            if announced is not None and announced != (header.sop_class_uid, header.sop_instance_uid):
                raise DataSetDoesNotMatch("SOP class or instance UID differs from the request")
            return self._commits.run(partial(self._enter, header, kept, source, now)), header.study_instance_uid
        except OutOfResources:
            raise
        except OSError as error:
            raise OutOfResources(f"the spool cannot be read: {error.strerror}; send it again") from error
        except ReceiveError as refused:
            self._keep_aside(kept, header, refused, source, now)
            raise

    def _enter(self, header: Header, kept: StoredObject, source: str, now: float, connection: Connection) -> Admitted:
        self._must_be_there(kept)
        known = known_instance(connection, header.sop_instance_uid)
        if known is not None:
            return self._enter_again(connection, header, known, kept, source, now)
        study = held_study(connection, header.study_instance_uid)
        if study is None:
            self._open_study(connection, header, source, now)
        elif study.instance_count >= self._limits.max_study_instances:
            raise InstanceTooLarge("the study has max_study_instances instances already")
        self._count_in(connection, header, (1, kept.size_bytes), study, source, now)
        NEW_INSTANCE.execute(connection, **_row(header, kept, source, now))
        image_arrived(connection, header.study_instance_uid, header.sop_instance_uid, now, first=study is None)
        return Admitted.STORED

    def _enter_again(
        self, connection: Connection, header: Header, known: KnownInstance, kept: StoredObject, source: str, now: float
    ) -> Admitted:
        """A SOP Instance UID that has a row. Its file may be gone: deleted by retention, or lost with a bad disk."""
        uid = known.study_instance_uid
        if known.file_digest == kept.digest:
            if mend(connection, kept.digest, uid, now):
                self._count_in(connection, header, (0, 0), held_study(connection, uid), source, now)
            elif supersede(connection, uid):
                of_study = update(studies).where(studies.c.study_instance_uid == uid)
                connection.execute(of_study.values(last_received_at=now))
                record_event(connection, uid, now, "arrived_again", "an image that was deleted is kept anew")
            return Admitted.ALREADY_HELD
        if self._spool.holds(known.file_digest):
            if dataset_digest(self._spool.file(known.file_digest)) != dataset_digest(self._spool.file(kept.digest)):
                raise InstanceConflict("SOP Instance UID is known with other content; kept aside")
            return Admitted.ALREADY_HELD
        if uid != header.study_instance_uid:
            raise InstanceConflict("SOP Instance UID is known in another study; kept aside")
        mend(connection, known.file_digest, uid, now)
        growth = (0, kept.size_bytes - known.size_bytes)
        self._count_in(connection, header, growth, held_study(connection, uid), source, now)
        of_uid = update(instances).where(instances.c.sop_instance_uid == header.sop_instance_uid)
        connection.execute(of_uid.values(_row(header, kept, source, now)))
        return Admitted.STORED

    def _open_study(self, connection: Connection, header: Header, source: str, now: float) -> None:
        connection.execute(
            insert(studies).values(
                study_instance_uid=header.study_instance_uid,
                state=StudyState.RECEIVING,
                revision=1,
                completes_at=now,
                calling_ae_title=source,
                patient_id=header.patient_id,
                patient_name=header.patient_name,
                patient_age=header.patient_age,
                accession_number=header.accession_number,
                study_date=header.study_date,
                study_description=header.study_description,
                modalities=header.modality,
                first_received_at=now,
                last_received_at=now,
            )
        )
        record_event(connection, header.study_instance_uid, now, "receiving", f"from {source}")

    def _count_in(
        self,
        connection: Connection,
        header: Header,
        growth: tuple[int, int],
        study: HeldStudy | None,
        source: str,
        now: float,
    ) -> None:
        """The study has so many instances and bytes more; past reading it is reopened."""
        count_received(connection, now, max(growth[1], 0))
        patience_s = self._dicom.association_timeout_for(source)
        if study is not None and growth[0] == 1 and _goes_on(study, header.modality, now, patience_s):
            ONE_MORE.execute(connection, uid=header.study_instance_uid, more_bytes=growth[1], now=now)
            return
        reopened = study is not None and study.state in _PAST_READING
        modalities = {header.modality} | (set(study.modalities.split("\\")) if study is not None else set())
        COUNT_IN.execute(
            connection,
            uid=header.study_instance_uid,
            reopened=int(reopened),
            more_instances=growth[0],
            more_bytes=growth[1],
            modalities="\\".join(sorted(m for m in modalities if m)),
            now=now,
            completes=now + patience_s,
        )
        if reopened:
            supersede(connection, header.study_instance_uid)
            record_event(connection, header.study_instance_uid, now, "reopened", "a late image arrived")

    def _keep_aside(
        self, kept: StoredObject, header: Header | None, refused: ReceiveError, source: str, now: float
    ) -> None:
        uids = (header.sop_instance_uid, header.study_instance_uid) if header else ("", "")
        with writing(self._engine) as connection:
            self._must_be_there(kept)
            list_aside(connection, kept, uids, (refused.reason, refused.comment), source, now)

    def _must_be_there(self, kept: StoredObject) -> None:
        """Asked under the write lock: the same bytes may just have been deleted; see appliance/disk/removals.py."""
        if not self._spool.holds(kept.digest):
            raise OutOfResources("the file was removed while it arrived; send it again")

    def set_aside(self, temporary: Path, reason: str, detail: str, source: str, now: float) -> None:
        """Keep a file that is no instance, and list it with its reason; it is durable when this returns.

        Raises OutOfResources.
        """
        kept = self._keep(temporary)
        try:
            with writing(self._engine) as connection:
                self._must_be_there(kept)
                list_aside(connection, kept, ("", ""), (reason, detail), source, now)
        except DBAPIError as error:
            raise OutOfResources(f"the database cannot commit ({type(error.orig).__name__})") from error

    def known(self, sop_instance_uids: Iterable[str]) -> set[str]:
        """Those of these instances that were taken in or set aside."""
        with reading(self._engine) as connection:
            return known_among(connection, sop_instance_uids)

    def patience_s(self, source: str) -> float:
        """How long this source may say nothing before what it sends counts as all there is, s."""
        return self._dicom.association_timeout_for(source)

    def released(self, study_instance_uids: Iterable[str], source: str, now: float, address: str = "") -> None:
        """The sender is done: each study is complete after the quiet time, unless more arrives."""
        uids = sorted(study_instance_uids)
        done = (
            update(studies)
            .where(studies.c.study_instance_uid.in_(uids))
            .where(studies.c.state == StudyState.RECEIVING)
            .values(completes_at=now + self._dicom.quiet_time_for(source))
        )

        def write(connection: Connection) -> int:
            for uid in uids:
                study_received(connection, source, address, uid, now)
            return connection.execute(done).rowcount

        self._commits.run(write)

    def resume(self, now: float) -> None:
        """After a restart no association is open any more: studies cut short complete after their quiet time."""
        with writing(self._engine) as connection:
            connection.execute(
                update(studies)
                .where(studies.c.state == StudyState.RECEIVING)
                .where(studies.c.completes_at > now + self._dicom.quiet_time_s)
                .values(completes_at=now + self._dicom.quiet_time_s)
            )


def _goes_on(study: HeldStudy, modality: str, now: float, patience_s: float) -> bool:
    """Whether an image more changes nothing but sums: it is waited for anew when a sixtieth of the patience is over."""
    is_same = study.state == StudyState.RECEIVING and modality in study.modalities.split("\\")
    return is_same and abs(now + patience_s - study.completes_at) < patience_s / 60


def _row(header: Header, kept: StoredObject, source: str, now: float) -> dict[str, Any]:
    return {
        "sop_instance_uid": header.sop_instance_uid,
        "study_instance_uid": header.study_instance_uid,
        "series_instance_uid": header.series_instance_uid,
        "sop_class_uid": header.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "file_digest": kept.digest,
        "size_bytes": kept.size_bytes,
        "source": source,
        "received_at": now,
    }
