"""A PACS on loopback that can be asked for storage commitment and reports as a test says (PS3.4 Annex J)."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_messages import N_ACTION_RSP
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

DEADLINE_S = 20.0


@dataclass
class CommittingArchive:
    """What it was sent and asked; ``on_same_association`` makes it commit at once to all it was asked for."""

    commits: bool = True
    on_same_association: bool = False
    action_status: int = 0x0000
    port: int = 0
    stored: list[str] = field(default_factory=list)
    asked: list[Dataset] = field(default_factory=list)
    reported: list[int] = field(default_factory=list)

    @property
    def transactions(self) -> list[str]:
        """The UIDs it was asked under, in order."""
        return [str(one.TransactionUID) for one in self.asked]

    def on_store(self, event: evt.Event) -> int:
        """Take it."""
        self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        """Note what is asked."""
        assert event.action_type == 1
        assert event.request.RequestedSOPInstanceUID == StorageCommitmentPushModelInstance
        self.asked.append(event.action_information)
        return self.action_status, None

    def on_sent(self, event: evt.Event) -> None:
        """After the answer to a request: report, where that is wanted."""
        if self.on_same_association and isinstance(event.message, N_ACTION_RSP):
            threading.Thread(target=self._report_on, args=(event.assoc, report(self.asked[-1])), daemon=True).start()

    def _report_on(self, association: Any, information: Dataset) -> None:
        answer, _ = association.send_n_event_report(
            information, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        self.reported.append(int(answer.Status))

    @contextmanager
    def serving(self) -> Iterator[CommittingArchive]:
        """Listen until the end of the block."""
        ae = AE(ae_title="ARCHIVE")
        ae.add_supported_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)
        if self.commits:
            ae.add_supported_context(StorageCommitmentPushModel)
        handlers = [
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_N_ACTION, self.on_action),
            (evt.EVT_DIMSE_SENT, self.on_sent),
        ]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = server.server_address[1]
        try:
            yield self
        finally:
            server.shutdown()


def report(asked: Dataset, failure_reason: int | None = None, *, transaction_uid: str | None = None) -> Dataset:
    """The event information about everything that was asked: all committed, or all failed with one reason."""
    information = Dataset()
    information.TransactionUID = transaction_uid or asked.TransactionUID
    items = []
    for one in asked.ReferencedSOPSequence:
        item = Dataset()
        item.ReferencedSOPClassUID = one.ReferencedSOPClassUID
        item.ReferencedSOPInstanceUID = one.ReferencedSOPInstanceUID
        if failure_reason is not None:
            item.FailureReason = failure_reason
        items.append(item)
    if failure_reason is None:
        information.ReferencedSOPSequence = Sequence(items)
    else:
        information.FailedSOPSequence = Sequence(items)
    return information


def send_report(
    port: int,
    information: Dataset,
    event_type: int = 1,
    ae_title: str = "ARCHIVE",
    *,
    scp_role: bool = True,
    instance_uid: str = StorageCommitmentPushModelInstance,
    tls: ssl.SSLContext | None = None,
) -> int | None:
    """Report to a receiver on an association of its own; the status it answers, None if it takes no reports from us."""
    ae = AE(ae_title=ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
    contexts = [build_context(Verification), build_context(StorageCommitmentPushModel)]
    role = build_role(StorageCommitmentPushModel, scu_role=not scp_role, scp_role=scp_role)
    tls_args = None if tls is None else (tls, "localhost")
    association = ae.associate("127.0.0.1", port, contexts, ext_neg=[role], tls_args=tls_args)
    assert association.is_established
    try:
        if StorageCommitmentPushModel not in {one.abstract_syntax for one in association.accepted_contexts}:
            return None
        answer, _ = association.send_n_event_report(information, event_type, StorageCommitmentPushModel, instance_uid)
        return int(answer.Status)
    finally:
        association.release()
