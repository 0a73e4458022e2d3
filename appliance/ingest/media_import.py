"""Takes in what a DICOMDIR names, by the same gate as everything else. The medium itself is only read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from appliance.errors import (
    CannotUnderstand,
    DataSetDoesNotMatch,
    InstanceConflict,
    InstanceTooLarge,
    OutOfResources,
    ReceiveError,
)
from appliance.ingest.admit import Admission
from appliance.ingest.copied import copied
from appliance.ingest.media_directory import Reference, read_directory
from store_forward.spool import Spool

SOURCE = "MEDIA"


class ImportOutcome(StrEnum):
    """What became of one file that the directory names."""

    STORED = "stored"
    ALREADY_HELD = "already_held"
    MISSING = "missing"
    NOT_ALLOWED = "file_id_not_allowed"
    UNREADABLE = "unreadable"
    CANNOT_UNDERSTAND = CannotUnderstand.reason
    DOES_NOT_MATCH = DataSetDoesNotMatch.reason
    CONFLICT = InstanceConflict.reason
    OVER_LIMIT = InstanceTooLarge.reason
    OUT_OF_RESOURCES = OutOfResources.reason

    @property
    def is_taken(self) -> bool:
        """Whether the instance is durable on the box."""
        return self in (ImportOutcome.STORED, ImportOutcome.ALREADY_HELD)


@dataclass(frozen=True)
class Imported:
    """One line of the result; ``detail`` never names a patient."""

    file_id: str
    sop_instance_uid: str
    outcome: ImportOutcome
    detail: str = ""


def import_medium(directory: Path, admission: Admission, spool: Spool) -> Iterator[Imported]:
    """Take in every file of a DICOMDIR, one after the other; what cannot be taken is said and the rest goes on.

    Raises:
        DirectoryUnusable: the directory itself cannot be read; nothing was taken.
    """
    studies: set[str] = set()
    try:
        for reference in read_directory(directory):
            yield _take(reference, admission, spool, studies)
    finally:
        if studies:
            admission.released(studies, SOURCE, time.time())


def _take(reference: Reference, admission: Admission, spool: Spool, studies: set[str]) -> Imported:
    name, uid = reference.file_id, reference.sop_instance_uid
    if not reference.allowed:
        return Imported(name, uid, ImportOutcome.NOT_ALLOWED, "leads out of the medium, or is no file name")
    if reference.path is None:
        return Imported(name, uid, ImportOutcome.MISSING, "the directory names it, and the medium does not have it")
    announced = (reference.sop_class_uid, uid) if reference.sop_class_uid and uid else None
    try:
        outcome, study = admission.admit(copied(reference.path, spool), SOURCE, time.time(), announced)
    except ReceiveError as refused:
        return Imported(name, uid, ImportOutcome(refused.reason), refused.comment)
    except OSError as error:
        return Imported(name, uid, ImportOutcome.UNREADABLE, error.strerror or type(error).__name__)
    studies.add(study)
    return Imported(name, uid, ImportOutcome(outcome.value))
