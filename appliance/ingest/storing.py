"""What becomes of an instance that was sent over an association, and of its studies when the association ends."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.association import Association

from appliance.errors import OutOfResources, ReceiveError
from appliance.ingest.admit import Admission
from appliance.ingest.received_file import ReceivedFile

log = structlog.get_logger()
SUCCESS: Final = 0x0000
_LONGEST_COMMENT: Final = 64  # ErrorComment is LO (PS3.7 C)


class Storing:
    """For one receiver: whichever way an instance came off its line, here it is admitted."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._touched: dict[int, set[str]] = {}
        self._lock = threading.Lock()

    def take(self, association: Association, received: ReceivedFile, announced: tuple[str, str]) -> ReceiveError | None:
        """Admit a whole file; ``None`` once it is durable, else why it was not taken in.

        ``announced`` are SOP class and instance of the request.
        """
        source = _source(association)
        received.close()
        try:
            if received.refused is not None:
                raise OutOfResources(f"the spool cannot be written: {received.refused}")
            _, study = self._admission.admit(received.name, source, time.time(), announced, received.seen)
        except ReceiveError as refused:
            status = f"0x{refused.dicom_status:04X}"
            log.warning("instance.refused", reason=refused.reason, status=status, source=source)
            return refused
        with self._lock:
            self._touched.setdefault(id(association), set()).add(study)
        return None

    def answer(self, event: evt.Event) -> int | Dataset:
        """For EVT_C_STORE."""
        request = event.request
        announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        refused = self.take(event.assoc, request._dataset_file, announced)
        if refused is None:
            return SUCCESS
        status = Dataset()
        status.Status = refused.dicom_status
        status.ErrorComment = refused.comment[:_LONGEST_COMMENT]
        return status

    def ended(self, association: Association) -> None:
        """Release, abort and a dropped line all end here; may be called more than once."""
        with self._lock:
            studies = self._touched.pop(id(association), set())
        if studies:
            self._admission.released(studies, _source(association), time.time(), _address(association))


def _source(association: Association) -> str:
    return str(association.requestor.ae_title).strip() or "UNKNOWN"


def _address(association: Association) -> str:
    return str(association.requestor.address or "")
