"""The Storage Commitment Push Model as SCU (PS3.4 Annex J): the request's data set, and the answer to a report."""

from __future__ import annotations

import struct
import time
from collections.abc import Collection
from typing import Final

import structlog
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import evt
from pynetdicom.sop_class import StorageCommitmentPushModelInstance
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from appliance.results.commitments import Report, UnknownTransaction, take_report
from store_forward.database import writing

log = structlog.get_logger()

#: PS3.4 table J.3-1 and J.3.3.1.1.
REQUEST_COMMITMENT: Final = 1
ALL_COMMITTED, FAILURES_EXIST = 1, 2

#: PS3.7 C.4 and C.5.
SUCCESS: Final = 0x0000
NO_SUCH_SOP_INSTANCE: Final = 0x0112
NO_SUCH_EVENT_TYPE: Final = 0x0113
INVALID_ARGUMENT_VALUE: Final = 0x0115
RESOURCE_LIMITATION: Final = 0x0213


class ReportUnreadable(Exception):
    """The event information is not what PS3.4 table J.3-2 asks for."""


def request_of(transaction_uid: str, sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    """The action information of PS3.4 table J.3-1, about one instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = Sequence([item])
    return request


def answer_report(engine: Engine, destinations: Collection[str], event: evt.Event) -> tuple[int, None]:
    """Make a report durable, then say so: the status of the N-EVENT-REPORT response, and no event reply.

    Success only once it is committed to the database, also for one that was known already. ``destinations`` are the
    names of the PACS that sent it.
    """
    status = _status(engine, destinations, event)
    if status != SUCCESS:
        log.warning("commitment.report_refused", status=f"0x{status:04X}", destinations=sorted(destinations))
    return status, None


def _status(engine: Engine, destinations: Collection[str], event: evt.Event) -> int:
    if str(event.request.AffectedSOPInstanceUID) != StorageCommitmentPushModelInstance:
        return NO_SUCH_SOP_INSTANCE
    if event.event_type not in (ALL_COMMITTED, FAILURES_EXIST):
        return NO_SUCH_EVENT_TYPE
    try:
        report = read_report(event)
        with writing(engine) as connection:
            new = take_report(connection, destinations, report, time.time())
    except (UnknownTransaction, ReportUnreadable) as refused:
        log.warning("commitment.report_does_not_fit", why=str(refused))
        return INVALID_ARGUMENT_VALUE
    except OperationalError as error:  # a full or broken disk: the PACS may report again, else we ask again
        log.warning("commitment.not_written", kind=type(error.orig).__name__)
        return RESOURCE_LIMITATION
    log.info("commitment.reported", new=new, committed=len(report.committed), failed=len(report.failed))
    return SUCCESS


def read_report(event: evt.Event) -> Report:
    """What the event information says. Raises ReportUnreadable."""
    try:
        information = event.event_information
        transaction_uid = str(information.TransactionUID)
        committed = [str(one.ReferencedSOPInstanceUID) for one in information.get("ReferencedSOPSequence") or ()]
        failed = {
            str(one.ReferencedSOPInstanceUID): int(one.FailureReason)
            for one in information.get("FailedSOPSequence") or ()
        }
    except (AttributeError, KeyError, TypeError, ValueError, EOFError, struct.error) as error:
        raise ReportUnreadable(f"the event information cannot be read: {type(error).__name__}") from error
    return Report(transaction_uid, frozenset(committed), failed)
