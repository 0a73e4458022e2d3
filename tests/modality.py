"""A modality on loopback: what it says of its procedure steps (PS3.4 Annex F) and what it asks us to keep (Annex J)."""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from tests.committing_archive import DEADLINE_S
from tests.dicom_factory import uid
from tests.small_box import SCANNER

STEP = uid("step")


def begins(study_uid: str = uid("study 0"), **overrides: Any) -> Dataset:
    """The attribute list of an N-CREATE, all that PS3.4 table F.7.2-1 asks of a modality."""
    scheduled = Dataset()
    scheduled.StudyInstanceUID = study_uid
    scheduled.AccessionNumber = "A0"
    dataset = Dataset()
    dataset.ScheduledStepAttributesSequence = Sequence([scheduled])
    dataset.PatientName, dataset.PatientID = "Phantom^0", "P-0"
    dataset.PerformedProcedureStepID, dataset.PerformedStationAETitle = "PPS1", SCANNER
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = "20260314", "101500"
    dataset.PerformedProcedureStepStatus, dataset.Modality = "IN PROGRESS", "DX"
    dataset.PerformedProcedureStepEndDate = dataset.PerformedProcedureStepEndTime = None
    dataset.PerformedSeriesSequence = Sequence([])
    return with_(dataset, overrides)


def ends(images: Iterable[Dataset], status: str = "COMPLETED", **overrides: Any) -> Dataset:
    """The modification list of an N-SET that ends a step with these images, all of one series."""
    series = Dataset()
    series.SeriesInstanceUID, series.ProtocolName = uid("series 0"), "CHEST AP"
    series.ReferencedImageSequence = Sequence([reference(image) for image in images])
    dataset = Dataset()
    dataset.PerformedProcedureStepStatus = status
    dataset.PerformedProcedureStepEndDate, dataset.PerformedProcedureStepEndTime = "20260314", "101800"
    dataset.PerformedSeriesSequence = Sequence([series])
    return with_(dataset, overrides)


def with_(dataset: Dataset, overrides: dict[str, Any]) -> Dataset:
    """DICOM keywords set; ``...`` removes the element."""
    for keyword, value in overrides.items():
        if value is ...:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def reference(image: Dataset) -> Dataset:
    """An image, as an item of a Referenced SOP Sequence."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return item


def request(*items: Dataset, transaction_uid: str = uid("transaction")) -> Dataset:
    """The action information that asks for these to be kept (PS3.4 table J.3-1)."""
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = Sequence(items)
    return information


@dataclass
class Modality:
    """It knows one receiver; reports on its requests come into ``reports``, as (Event Type ID, event information)."""

    port: int
    ae_title: str = SCANNER
    answers: int = 0x0000
    reports: queue.Queue[tuple[int, Dataset]] = field(default_factory=queue.Queue)
    on_same: list[bool] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.held.set()

    @contextmanager
    def associated(self) -> Iterator[Association]:
        """An association for steps and requests; released at the end, if it still stands."""
        ae = AE(ae_title=self.ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
        wanted = (Verification, ModalityPerformedProcedureStep, StorageCommitmentPushModel)
        contexts = [build_context(one) for one in wanted]
        handlers = [(evt.EVT_N_EVENT_REPORT, self.on_report)]
        association = ae.associate("127.0.0.1", self.port, contexts, evt_handlers=handlers)
        assert association.is_established
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def begin(self, attributes: Dataset, step: str | None = STEP) -> Dataset:
        """N-CREATE; the status."""
        with self.associated() as association:
            status: Dataset = association.send_n_create(attributes, ModalityPerformedProcedureStep, step)[0]
            return status

    def change(self, attributes: Dataset, step: str = STEP) -> Dataset:
        """N-SET."""
        with self.associated() as association:
            status: Dataset = association.send_n_set(attributes, ModalityPerformedProcedureStep, step)[0]
            return status

    def ask(
        self,
        association: Association,
        information: Dataset,
        action_type: int = 1,
        instance_uid: str = StorageCommitmentPushModelInstance,
    ) -> int:
        """N-ACTION; the status."""
        status, _ = association.send_n_action(information, action_type, StorageCommitmentPushModel, instance_uid)
        return int(status.Status)

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        """Take it, as soon as ``held`` is set."""
        self.held.wait(DEADLINE_S)
        self.on_same.append(bool(event.assoc.is_requestor))
        self.reports.put((event.event_type, event.event_information))
        return self.answers, None

    @contextmanager
    def listening(self, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[int]:
        """Where it takes reports on associations that we open; yields its port."""
        ae = AE(ae_title=self.ae_title)
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
        handlers = [(evt.EVT_N_EVENT_REPORT, self.on_report)]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=tls)
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
