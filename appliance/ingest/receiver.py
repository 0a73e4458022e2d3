"""The DICOM door: C-ECHO and C-STORE for every storage SOP class and transfer syntax (PS3.4 Annexes A, B), procedure
steps (Annex F), and storage commitment, asked of us or reported by the PACS that we asked (Annex J)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable

import structlog
from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, AllStoragePresentationContexts, _config, dimse_messages, evt, register_uid
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import ModalityPerformedProcedureStep, Verification

from appliance.ingest.admit import Admission
from appliance.ingest.callers import (
    Refusal,
    caller_of,
    calls_us,
    plain_port_is_needed,
    refusal_of,
)
from appliance.ingest.commitment_door import NOT_AUTHORISED
from appliance.ingest.entrance import AssociationMaker, Entrance
from appliance.ingest.line_guard import guard
from appliance.ingest.received_file import ReceivedFile
from appliance.ingest.services import Services
from appliance.ingest.storing import Storing
from appliance.ingest.straight_in import StraightIn
from appliance.ingest.waiting_room import WaitingRoom
from appliance.settings import Dicom
from appliance.tls import ServerTls
from store_forward.spool import Spool

log = structlog.get_logger()
_SUCCESS = 0x0000
_ABORT_GRACE_S = 3.0

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

    def __init__(self, settings: Dicom, admission: Admission, spool: Spool, services: Services) -> None:
        self._settings = settings
        self._storing = Storing(admission)
        self._storage_classes = frozenset(storage_sop_classes(settings.private_sop_classes))
        self._spool = spool
        self._services = services
        self._room: WaitingRoom | None = None
        self._entrances: list[Entrance] = []
        self.tls_port: int | None = None
        _config.STORE_RECV_CHUNKED_DATASET = True
        # Put together for every message, read by nobody, and they stumble over commands that lack an element.
        _config.LOG_HANDLER_LEVEL = "none"
        # On the spool's own file system, and a disk that refuses them does not end the library's thread.
        dimse_messages.NamedTemporaryFile = lambda **_: ReceivedFile(spool)
        self._ae = self._application_entity()

    def _application_entity(self) -> AE:
        own = self._settings
        ae = AE(ae_title=own.ae_title)
        ae.maximum_pdu_size = own.max_pdu_bytes
        ae.acse_timeout = own.acse_timeout_s
        ae.dimse_timeout = own.association_timeout_s
        ae.network_timeout = own.association_timeout_s
        ae.maximum_associations = sys.maxsize  # the library would count those that are being refused; see _is_full
        ae.add_supported_context(Verification)
        ae.add_supported_context(ModalityPerformedProcedureStep)
        for uid in own.private_sop_classes:
            register_uid(uid, f"Private_{uid.replace('.', '_')}", StorageServiceClass)
        for sop_class in storage_sop_classes(own.private_sop_classes):
            ae.add_supported_context(sop_class, list(transfer_syntaxes()))
        return ae

    def start(self) -> int:
        """Listen; returns the plain port, or that of TLS if there is no other, which matters when either is 0.

        Raises:
            ConfigurationInvalid: TLS is configured and its files cannot be used.
            OSError: the address or a port is taken.
        """
        own = self._settings
        tls = None if own.tls is None else ServerTls(own.tls)
        room = WaitingRoom(own.max_idle_connections, own.max_idle_connections_per_address, own.acse_timeout_s)
        self._room = room
        try:
            if plain_port_is_needed(own) or self._services.reports.comes_plain:
                self._listen(own.port, room, None)
            if own.tls is not None:
                self.tls_port = self._listen(own.tls.port, room, tls)
        except OSError:
            self.stop()
            raise
        if own.lets_nobody_in is not None:
            log.warning("receiver.closed", why=own.lets_nobody_in)
        return int(self._entrances[0].server_address[1])

    @property
    def is_listening(self) -> bool:
        """Whether all that has to run for newcomers runs."""
        return self._room is not None and self._room.is_open and all(entrance.is_open for entrance in self._entrances)

    def _listen(self, port: int, room: WaitingRoom, tls: ServerTls | None) -> int:
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, self._on_connect),
            (evt.EVT_CONN_CLOSE, lambda event: self._storing.ended(event.assoc)),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_ACCEPTED, self._on_accepted),
            (evt.EVT_C_ECHO, lambda _event: _SUCCESS),
            (evt.EVT_C_STORE, self._storing.answer),
            (evt.EVT_N_CREATE, self._services.steps.create),
            (evt.EVT_N_SET, self._services.steps.set),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_N_EVENT_REPORT, self._services.reports.answer),
            (evt.EVT_PDU_RECV, self._services.limit.look),
        ]
        own = self._settings
        entrance = self._ae.make_server(
            (own.host, port),
            evt_handlers=handlers,
            contexts=_SharedContexts(self._ae.supported_contexts),
            server_class=Entrance,
            request_handler=AssociationMaker,
        )
        assert isinstance(entrance, Entrance)
        entrance.open(room, tls, own.association_timeout_s, own.max_associations)
        self._entrances.append(entrance)
        return int(entrance.server_address[1])

    def stop(self) -> None:
        """Stop listening and abort what is open; senders keep what was not acknowledged."""
        for entrance in self._entrances:
            entrance.shutdown()
        if self._room is not None:
            self._room.close()
        # All at once: one after the other takes 0.2 s each, and fifty would outlast a stop's grace.
        aborts = [threading.Thread(target=one.abort, daemon=True) for one in self._ae.active_associations]
        for abort in aborts:
            abort.start()
        give_up = time.monotonic() + _ABORT_GRACE_S
        for abort in aborts:
            abort.join(max(give_up - time.monotonic(), 0.0))

    def _on_connect(self, event: evt.Event) -> None:
        association = event.assoc
        straight_in = StraightIn(association, self._storing, self._spool, self._storage_classes)

        def over() -> None:
            straight_in.end()
            self._storing.ended(association)

        guard(association, over)

    def _on_requested(self, event: evt.Event) -> None:
        association, caller = event.assoc, caller_of(event.assoc)
        refusal = refusal_of(caller, self._settings)
        may_send = refusal is None
        if not may_send and self._services.reports.knows(association):
            refusal = None if calls_us(caller, self._settings) else Refusal.CALLED_AE_TITLE_UNKNOWN
        if refusal is None and self._is_full():
            refusal = Refusal.TOO_MANY_ASSOCIATIONS
        if refusal is not None:
            log.warning("association.refused", cause=refusal.cause, repair=refusal.repair, **caller.for_the_log())
            self._refuse(association, refusal)
            self._services.strangers.note(caller.calling_ae_title, caller.address, refusal.cause, time.time())
            return
        association.acceptor.supported_contexts = self._contexts_for(association, may_send=may_send)

    def _contexts_for(self, association: Association, *, may_send: bool) -> list[PresentationContext]:
        """A PACS may report even if it may not send to us."""
        offered = association.acceptor.supported_contexts if may_send else [build_context(Verification)]
        may_ask = may_send and self._services.commitments.is_open
        more = self._services.reports.contexts_for(association, may_ask=may_ask)
        return [*offered, *more] if more else offered

    def _is_full(self) -> bool:
        """Whether there are too many with the one that asks now. Those that are being refused take nobody's place."""
        inside = [one for one in self._ae.active_associations if not one.is_rejected]
        return len(inside) > self._settings.max_associations

    def _refuse(self, association: Association, refusal: Refusal) -> None:
        """A-ASSOCIATE-RJ, and the end of the line, for which the other side has no more than the usual time."""
        line = association.dul.socket
        if line is not None and line.socket is not None:
            line.socket.settimeout(self._settings.acse_timeout_s)
        association.acse.send_reject(refusal.result, refusal.source, refusal.reason)
        association.kill()

    def _on_accepted(self, event: evt.Event) -> None:
        """A scanner that sends a kind of object we do not take is seen in the log, not only at the scanner."""
        for context in event.assoc.rejected_contexts:
            log.warning("context.rejected", abstract_syntax=str(context.abstract_syntax), result=context.result)

    def _on_action(self, event: evt.Event) -> tuple[int, None]:
        """A PACS that may report, but not send to us, has nothing to ask either."""
        if refusal_of(caller_of(event.assoc), self._settings) or not self._services.commitments.is_open:
            return NOT_AUTHORISED, None
        return self._services.commitments.answer(event)


def storage_sop_classes(private: Iterable[str] = ()) -> tuple[UID, ...]:
    """Every storage SOP class that is accepted, with the ``private`` ones of the configuration."""
    standard = (str(context.abstract_syntax) for context in AllStoragePresentationContexts)
    return tuple(UID(uid) for uid in (*standard, *private))


def transfer_syntaxes() -> tuple[UID, ...]:
    """Every transfer syntax that is accepted, for each of them."""
    more = (*_NEWER_TRANSFER_SYNTAXES, *_RETIRED_TRANSFER_SYNTAXES)
    return (*AllTransferSyntaxes, *(UID(uid) for uid in more if uid not in AllTransferSyntaxes))
