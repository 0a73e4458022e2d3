"""Modality Performed Procedure Step as SCP (PS3.4 Annex F): N-CREATE and N-SET, durable before they are answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import evt
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from appliance.ingest.header import is_uid
from appliance.ingest.procedure_steps import (
    INVALID_ATTRIBUTE_VALUE,
    INVALID_OBJECT_INSTANCE,
    NEEDED_TO_BEGIN,
    NEEDED_TO_COMPLETE,
    RESOURCE_LIMITATION,
    SERIES,
    Said,
    StepRefused,
    begin_step,
    update_step,
)
from appliance.settings import Limits
from models.tolerant_reading import DAMAGED
from store_forward.database import writing

log = structlog.get_logger()

Answer = tuple[int | Dataset, Dataset | None]
_SUCCESS: Final = 0x0000
_LONGEST_COMMENT: Final = 64  # ErrorComment is LO
_LONGEST_VALUE: Final = 64
_STUDIES: Final = "ScheduledStepAttributesSequence"
#: PS3.3 table C.4-15: where a performed series names what is in it.
_IMAGES: Final = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")


class StepDoor:
    """For one receiver; keeps nothing in memory between two requests."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self._engine = engine
        self._most_images = limits.max_study_instances

    def create(self, event: evt.Event) -> Answer:
        """N-CREATE: a step begins."""
        given = event.request.AffectedSOPInstanceUID
        uid = str(given or generate_uid(prefix=None))

        def begin(connection: Connection, said: Said) -> None:
            begin_step(connection, uid, _caller(event), said, self._most_images, time.time())

        status = self._answer(event, uid, lambda: event.attribute_list, begin)
        return status, None if given else _named(uid)

    def set(self, event: evt.Event) -> Answer:
        """N-SET: more is known of a step, or it ends."""
        uid = str(event.request.RequestedSOPInstanceUID)

        def change(connection: Connection, said: Said) -> None:
            update_step(connection, uid, said, self._most_images, time.time())

        return self._answer(event, uid, lambda: event.modification_list, change), None

    def _answer(
        self, event: evt.Event, uid: str, dataset: Callable[[], Dataset], write: Callable[[Connection, Said], None]
    ) -> int | Dataset:
        """Success only once it is committed to the database."""
        try:
            if not is_uid(uid):
                raise StepRefused(INVALID_OBJECT_INSTANCE, "the SOP Instance UID is not a valid UID (PS3.5 9.1)")
            said = read_said(dataset)
            with writing(self._engine) as connection:
                write(connection, said)
        except StepRefused as refused:
            log.warning("step.refused", status=f"0x{refused.status:04X}", why=refused.comment, source=_caller(event))
            return _status(refused)
        except DBAPIError as error:  # a full or broken disk: the modality may say it again
            log.error("step.not_written", kind=type(error.orig).__name__)
            return _status(StepRefused(RESOURCE_LIMITATION, "it cannot be written now, say it again later"))
        log.info("step.taken", state=said.attributes.get("PerformedProcedureStepStatus"), source=_caller(event))
        return _SUCCESS


def read_said(given: Callable[[], Dataset]) -> Said:
    """What a request's attributes say. Raises StepRefused when they cannot be read."""
    try:
        dataset = given()
        study_uids = tuple(dict.fromkeys(_uids(dataset, _STUDIES, "StudyInstanceUID")))
        images = tuple(_images(dataset)) if SERIES in dataset else None
        attributes = dict(_texts(dataset))
        because = _because(dataset)
    except DAMAGED as error:
        comment = f"the attributes cannot be read ({type(error).__name__})"
        raise StepRefused(INVALID_ATTRIBUTE_VALUE, comment) from None
    for uid in (*study_uids, *(images or ())):
        if not is_uid(uid):
            raise StepRefused(INVALID_ATTRIBUTE_VALUE, "it names something that is not a valid UID (PS3.5 9.1)")
    return Said(attributes, study_uids, images, because)


def _texts(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """The attributes that are asked for; of a sequence, how many items it has."""
    if _STUDIES in dataset:
        yield "StudyInstanceUID", "\\".join(_uids(dataset, _STUDIES, "StudyInstanceUID"))
    for keyword in (*NEEDED_TO_BEGIN, *NEEDED_TO_COMPLETE):
        if keyword == SERIES and SERIES in dataset:
            yield SERIES, str(len(dataset[SERIES].value) or "")
        elif keyword in dataset and keyword != "StudyInstanceUID":
            yield keyword, _printable(dataset[keyword].value)


def _uids(dataset: Dataset, sequence: str, keyword: str) -> Iterator[str]:
    found = (str(item.get(keyword) or "").strip() for item in dataset.get(sequence) or ())
    return (uid for uid in found if uid)


def _images(dataset: Dataset) -> Iterator[str]:
    for series in dataset.get(SERIES) or ():
        for sequence in _IMAGES:
            yield from _uids(series, sequence, "ReferencedSOPInstanceUID")


def _because(dataset: Dataset) -> str:
    codes = dataset.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or ()
    return ", ".join(_printable(code.get("CodeMeaning")) for code in codes)


def _printable(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(c for c in text if c.isprintable()).strip()[:_LONGEST_VALUE]


def _caller(event: evt.Event) -> str:
    return str(event.assoc.requestor.ae_title).strip() or "UNKNOWN"


def _named(uid: str) -> Dataset:
    """The name we gave to a step that came without one (PS3.7 10.1.5.1.4)."""
    named = Dataset()
    named.AffectedSOPInstanceUID = uid
    return named


def _status(refused: StepRefused) -> Dataset:
    status = Dataset()
    status.Status = refused.status
    status.ErrorComment = refused.comment[:_LONGEST_COMMENT]
    if refused.error_id is not None:
        status.ErrorID = refused.error_id
    return status
