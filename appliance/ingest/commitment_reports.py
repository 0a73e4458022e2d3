"""Reports on storage commitment to whoever asked for it: N-EVENT-REPORT (PS3.4 J.3.3), and who sends it when.

The receiver reports on the association that the request came on, if it is still open; the uplink on one of our own,
on which we propose to be SCP (PS3.4 J.3.3.1.3).
"""

from __future__ import annotations

import time
from io import BytesIO
from typing import Final

import structlog
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import A_RELEASE
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from appliance.errors import ConfigurationInvalid
from appliance.ingest.commitment_requests import (
    Reference,
    Request,
)
from appliance.ingest.commitment_verdict import Verdict
from appliance.ingest.waiting import is_held
from appliance.results.commitment_service import ALL_COMMITTED, FAILURES_EXIST, SUCCESS
from appliance.settings import ReportAddress
from appliance.tls import ClientTls, client_context

log = structlog.get_logger()
_LOOK_S: Final = 0.005
#: Answers after which the same report may be taken another time: processing failure, resource limitation (PS3.7 C).
_LATER: Final = (0x0110, 0x0213)


class NotReported(Exception):
    """The report did not arrive; ``cause`` is a word for the log and the table, ``peer``: nothing arrives there now."""

    def __init__(self, cause: str, *, peer: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.peer = peer


class NotTaken(Exception):
    """Who asked answered that it will not take the report; ``cause`` names the status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:04X}")
        self.cause = f"answered 0x{status:04X}"


def report_of(request: Request, verdict: Verdict) -> tuple[int, Dataset]:
    """Event Type ID and event information (PS3.4 table J.3-2)."""
    information = Dataset()
    information.TransactionUID = request.transaction_uid
    if verdict.committed:
        information.ReferencedSOPSequence = Sequence([_item(one) for one in verdict.committed])
    if not verdict.failed:
        return ALL_COMMITTED, information
    items = []
    for reference, reason in verdict.failed:
        item = _item(reference)
        item.FailureReason = int(reason)
        items.append(item)
    information.FailedSOPSequence = Sequence(items)
    return FAILURES_EXIST, information


def report_on(association: Association, event_type: int, information: Dataset, timeout_s: float) -> None:
    """Report on the association that the request came on; what it asks meanwhile is answered, not mistaken for a reply.

    Not to be called from the association's own thread. Raises NotReported, NotTaken.
    """
    context = next(one for one in association.accepted_contexts if one.abstract_syntax == StorageCommitmentPushModel)
    syntax = context.transfer_syntax[0]
    said = encode(information, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    request = N_EVENT_REPORT()
    request.MessageID = 1
    request.AffectedSOPClassUID = StorageCommitmentPushModel
    request.AffectedSOPInstanceUID = StorageCommitmentPushModelInstance
    request.EventTypeID = event_type
    request.EventInformation = BytesIO(said)
    give_up = time.monotonic() + timeout_s
    association._reactor_checkpoint.clear()  # its own thread takes no messages until it is set again
    try:
        while not is_held(association):
            _check_open(association, give_up)
            time.sleep(_LOOK_S)
        _check_open(association, give_up)
        association.dimse.send_msg(request, context.context_id)
        _judge(_answer(association, give_up))
    finally:
        association._reactor_checkpoint.set()


def report_to(
    address: ReportAddress, ae_titles: tuple[str, str], event_type: int, information: Dataset, timeout_s: float
) -> None:
    """Report on an association of our own; ``ae_titles`` are ours and theirs. Raises NotReported, NotTaken."""
    handshake = _handshake(address)
    ae = AE(ae_title=ae_titles[0])
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    name = address.host if address.tls is None else address.tls.name or address.host
    tls_args = None if handshake is None else (handshake, name)
    association = ae.associate(address.host, address.port, ae_title=ae_titles[1], ext_neg=[role], tls_args=tls_args)
    if handshake is not None and handshake.failed:
        log.warning("commitment.tls_failed", why=handshake.failed)
        raise NotReported("tls_failed", peer=True)
    if not association.is_established:
        if association.is_rejected:
            raise NotReported("association_refused", peer=True)
        raise NotReported("no_context" if association.rejected_contexts else "unreachable", peer=True)
    try:
        answer, _ = association.send_n_event_report(
            information, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        _judge(int(answer.Status) if "Status" in answer else None)
    finally:
        if association.is_established:
            association.release()


def _handshake(address: ReportAddress) -> ClientTls | None:
    """Read the files anew, so that renewed ones count at once. Raises NotReported: they cannot be used."""
    if address.tls is None:
        return None
    try:
        return client_context(address.tls, f"pacs {address.host}")
    except ConfigurationInvalid as invalid:
        log.error("commitment.tls_unusable", why="; ".join(invalid.problems))
        raise NotReported("tls_unusable", peer=True) from None


def log_reported(request: Request, verdict: Verdict) -> None:
    """One line for each report that was taken."""
    counts = {"committed": len(verdict.committed), "failed": len(verdict.failed)}
    log.info("commitment.report_taken", ae_title=request.ae_title, **counts)


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    return item


def _answer(association: Association, give_up: float) -> int | None:
    """The status of the reply; requests that come before it are served here, for their thread stands still."""
    while True:
        context_id, message = association.dimse.get_msg(block=False)
        if message is None:
            _check_open(association, give_up)
            time.sleep(_LOOK_S)
        elif isinstance(message, N_EVENT_REPORT) and message.MessageIDBeingRespondedTo is not None:
            return None if message.Status is None else int(message.Status)
        else:
            association._serve_request(message, context_id)


def _check_open(association: Association, give_up: float) -> None:
    leaving = isinstance(association.dul.peek_next_pdu(), A_RELEASE)
    if leaving or not association.is_established or association.acse.is_aborted() or not association.dul.is_alive():
        raise NotReported("association_closed")
    if time.monotonic() > give_up:
        raise NotReported("no_answer")


def _judge(status: int | None) -> None:
    if status is None or status in _LATER:
        raise NotReported("no_answer" if status is None else f"answered 0x{status:04X}")
    if status != SUCCESS:
        raise NotTaken(status)
