"""The DICOM door: C-ECHO and C-STORE for every storage SOP class and transfer syntax (PS3.4 Annexes A, B), and reports
on storage commitment from the PACS that were asked for it (Annex J)."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, dimse_messages, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

from appliance.errors import OutOfResources, ReceiveError
from appliance.ingest.admit import Admission
from appliance.ingest.line_guard import guard
from appliance.ingest.received_file import ReceivedFile
from appliance.ingest.report_door import ReportDoor, calling_ae_title
from appliance.settings import Dicom

log = structlog.get_logger()
_SUCCESS = 0x0000
_ABORT_GRACE_S = 3.0
_LONGEST_COMMENT = 64  # ErrorComment is LO (PS3.7 C)

#: Stored as it comes, like everything else, although the library's list leaves it out (PS3.6 table A-1).
_NEWER_TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1.98",  # Encapsulated Uncompressed Explicit VR Little Endian
    "1.2.840.10008.1.2.4.110",  # JPEG XL Lossless
    "1.2.840.10008.1.2.4.111",  # JPEG XL JPEG Recompression
    "1.2.840.10008.1.2.4.112",  # JPEG XL
    "1.2.840.10008.1.2.8.1",  # Deflated Image Frame Compression
)
#: JPEG processes 3 to 29, which PS3.5 has retired and old archives still send.
_RETIRED_TRANSFER_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (52, 53, 54, 55, 56, *range(58, 67)))


class _SharedContexts(list[PresentationContext]):
    """What we accept. The library copies its 10,000 UIDs for each connection (40 ms); nobody changes them."""

    def __deepcopy__(self, memo: dict[int, object]) -> _SharedContexts:
        return self


class Receiver:
    """An application entity that answers each instance only after :class:`Admission` has made it durable."""

    def __init__(
        self, settings: Dicom, admission: Admission, incoming: Path, reports: ReportDoor | None = None
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._reports = reports
        self._touched: dict[int, set[str]] = {}
        self._bare: dict[int, tuple[str, socket.socket]] = {}  # by association, the oldest first
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None
        _config.STORE_RECV_CHUNKED_DATASET = True
        _config.LOG_HANDLER_LEVEL = "none"  # its handlers for debugging stumble over commands that lack an element
        # On the spool's own file system, and a disk that refuses them does not end the library's thread.
        dimse_messages.NamedTemporaryFile = lambda **_: ReceivedFile(incoming)
        self._ae = self._application_entity()

    def _application_entity(self) -> AE:
        own = self._settings
        ae = AE(ae_title=own.ae_title)
        ae.maximum_pdu_size = own.max_pdu_bytes
        ae.acse_timeout = own.acse_timeout_s
        ae.dimse_timeout = own.association_timeout_s
        ae.network_timeout = own.association_timeout_s
        ae.maximum_associations = own.max_associations
        ae.require_called_aet = own.require_called_ae_title
        ae.require_calling_aet = list(own.calling_ae_titles)
        if own.calling_ae_titles and self._reports is not None:
            ae.require_calling_aet = [*own.calling_ae_titles, *self._reports.ae_titles]  # see _contexts_for
        ae.add_supported_context(Verification)
        for sop_class in storage_sop_classes():
            ae.add_supported_context(sop_class, list(transfer_syntaxes()))
        return ae

    def start(self) -> int:
        """Listen; returns the port, which matters when the configuration says 0.

        Raises:
            OSError: the address or port is taken.
        """
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, self._on_connect),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_C_ECHO, lambda _event: _SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
        ]
        if self._reports is not None:
            handlers.append((evt.EVT_N_EVENT_REPORT, self._reports.answer))
        address = (self._settings.host, self._settings.port)
        contexts = _SharedContexts(self._ae.supported_contexts)
        server = self._ae.start_server(address, block=False, evt_handlers=handlers, contexts=contexts)
        assert server is not None  # block=False always returns one
        # The library lets five callers queue; the next of that moment would wait a second for TCP's second try.
        server.socket.listen(self._settings.max_associations)
        self._server = server
        return int(server.server_address[1])

    def stop(self) -> None:
        """Stop listening and abort what is open; senders keep what was not acknowledged."""
        if self._server is not None:
            self._server.shutdown()
        # All at once: one after the other takes 0.2 s each, and fifty would outlast a stop's grace.
        aborts = [threading.Thread(target=one.abort, daemon=True) for one in self._ae.active_associations]
        for abort in aborts:
            abort.start()
        give_up = time.monotonic() + _ABORT_GRACE_S
        for abort in aborts:
            abort.join(max(give_up - time.monotonic(), 0.0))

    def _on_connect(self, event: evt.Event) -> None:
        connection, address = event.assoc.dul.socket.socket, str(event.address[0])
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        guard(event.assoc, lambda: self._on_close(event))
        event.assoc.dul.daemon = True  # its thread, not started yet; cut off in a handshake it would outlive a stop
        with self._lock:
            self._bare[id(event.assoc)] = (address, connection)
            waiting = [key for key, (from_address, _) in self._bare.items() if from_address == address]
            crowded = len(waiting) > self._settings.max_idle_connections_per_address
            oldest = self._bare.pop(waiting[0])[1] if crowded else None
            self._make_room()
        if oldest is not None:  # the newcomer may be about to speak; who has been silent longest has to go
            log.warning("connection.refused", cause="too many idle connections from one address")
            with contextlib.suppress(OSError):  # it has gone by itself
                oldest.shutdown(socket.SHUT_RDWR)

    def _on_requested(self, event: evt.Event) -> None:
        self._no_longer_bare(event)
        if self._reports is not None:
            event.assoc.acceptor.supported_contexts = self._contexts_for(event.assoc, self._reports)

    def _contexts_for(self, association: Association, reports: ReportDoor) -> list[PresentationContext]:
        """A PACS may report even if it may not send to us."""
        may_send = self._settings.calling_ae_titles
        offered = association.acceptor.supported_contexts
        if may_send and calling_ae_title(association) not in may_send:
            offered = [build_context(Verification)]
        return [*offered, reports.context] if reports.is_open_for(association) else offered

    def _no_longer_bare(self, event: evt.Event) -> None:
        with self._lock:
            self._bare.pop(id(event.assoc), None)
            self._make_room()

    def _make_room(self) -> None:
        """The library counts bare TCP connections as associations, so they get room of their own."""
        self._ae.maximum_associations = self._settings.max_associations + len(self._bare)

    def _on_accepted(self, event: evt.Event) -> None:
        """A scanner that sends a kind of object we do not take is seen in the log, not only at the scanner."""
        for context in event.assoc.rejected_contexts:
            log.warning("context.rejected", abstract_syntax=str(context.abstract_syntax), result=context.result)

    def _on_store(self, event: evt.Event) -> int | Dataset:
        source = str(event.assoc.requestor.ae_title).strip() or "UNKNOWN"
        request = event.request
        announced = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        received: ReceivedFile = request._dataset_file
        try:
            if received.refused is not None:
                raise OutOfResources(f"the spool cannot be written: {received.refused}")
            outcome, study = self._admission.admit(event.dataset_path, source, time.time(), announced)
        except ReceiveError as refused:
            log.warning(
                "instance.refused",
                reason=refused.reason,
                status=f"0x{refused.dicom_status:04X}",
                source=source,
            )
            return _status(refused)
        with self._lock:
            self._touched.setdefault(id(event.assoc), set()).add(study)
        log.debug("instance.acknowledged", outcome=outcome, source=source)
        return _SUCCESS

    def _on_close(self, event: evt.Event) -> None:
        """Release, abort and a dropped line all end here."""
        self._no_longer_bare(event)
        with self._lock:
            studies = self._touched.pop(id(event.assoc), set())
        if studies:
            source = str(event.assoc.requestor.ae_title).strip() or "UNKNOWN"
            self._admission.released(studies, source, time.time())


def _status(refused: ReceiveError) -> Dataset:
    status = Dataset()
    status.Status = refused.dicom_status
    status.ErrorComment = refused.comment[:_LONGEST_COMMENT]
    return status


def storage_sop_classes() -> tuple[UID, ...]:
    """Every storage SOP class that is accepted, for the documents and the tests."""
    return tuple(UID(str(context.abstract_syntax)) for context in AllStoragePresentationContexts)


def transfer_syntaxes() -> tuple[UID, ...]:
    """Every transfer syntax that is accepted, for each of them."""
    more = (*_NEWER_TRANSFER_SYNTAXES, *_RETIRED_TRANSFER_SYNTAXES)
    return (*AllTransferSyntaxes, *(UID(uid) for uid in more if uid not in AllTransferSyntaxes))
