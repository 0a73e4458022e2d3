"""C-STORE straight from the line into the spool, below the library's messages.

The library makes objects, queues and two changes of thread of every fragment of an image, which is more than an image
costs otherwise. Here its fragments go from the line's buffer to the file, and the answer from here to the line, all in
the thread that reads the line. Only what is in every point a C-STORE is taken; all else stays in the buffer, and the
library, whose state machine goes on to run the association, reads it as ever.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from appliance.ingest.command_set import StoreRequest, read_store_request, store_response
from appliance.ingest.entrance import Line
from appliance.ingest.file_meta import file_head
from appliance.ingest.received_file import ReceivedFile
from appliance.ingest.storing import SUCCESS, Storing
from appliance.ingest.waiting import is_at_rest
from store_forward.spool import Spool

_P_DATA_TF: Final = 0x04
_FRAGMENT: Final = struct.Struct(">IBB")  # length, context, control header of a presentation data value (PS3.8 9.3.5.1)
_COMMAND, _LAST = 0x01, 0x02  # bits of the control header (PS3.8 E.2)
_ESTABLISHED: Final = "Sta6"
_CLOSED, _INVALID_PDU = "Evt17", "Evt19"
_ANSWER_BYTES: Final = 512

Fragment = tuple[int, int, memoryview]


@dataclass(slots=True)
class _Arriving:
    context_id: int
    request: StoreRequest
    received: ReceivedFile


class StraightIn:
    """For one association, in whose reading thread everything here is called."""

    def __init__(self, association: Association, storing: Storing, spool: Spool, sop_classes: Collection[str]) -> None:
        """Before its threads start; ``sop_classes`` are those of storage."""
        self._association = association
        self._dul: DULServiceProvider = association.dul
        assert isinstance(association.dul.socket, Line)
        self._line = association.dul.socket
        self._storing = storing
        self._spool = spool
        self._sop_classes = sop_classes
        self._arriving: _Arriving | None = None
        self._next: ReceivedFile | None = None  # made while the sender gets its next image ready
        self._library = self._dul._is_transport_event
        self._dul._is_transport_event = self._look

    def end(self) -> None:
        """Part of an instance is nobody's."""
        arriving, self._arriving = self._arriving, None
        if arriving is not None:
            arriving.received.discard()
        self._forget_next()

    def _look(self) -> bool:
        """In place of the library's look at the line: whether a PDU came, which is a sign of life.

        The library's loop, which sleeps a moment each time round, turns again when there is nothing to take.
        """
        taken = False
        while self._may_take():
            if self._line.holds_pdu:
                if not self._dul.to_provider_queue.empty():
                    return taken
                if not self._take():
                    break
                self._dul._idle_timer.restart()
                taken = True
            elif not self._line.ready:
                self._forget_next()
                return taken
            elif not self._read():
                return True
        return taken or bool(self._library())

    def _may_take(self) -> bool:
        """The library is in the middle of nothing: what it has been given is answered, and so is the next in turn."""
        dul = self._dul
        if dul._kill_thread or dul.state_machine.current_state != _ESTABLISHED or not dul.event_queue.empty():
            return False
        if self._arriving is not None:
            return True
        return self._association.dimse.message is None and is_at_rest(self._association)

    def _read(self) -> bool:
        try:
            if self._line.fill():
                return True
        except OSError:  # as below
            pass
        self._dul.event_queue.put(_CLOSED)
        return False

    def _take(self) -> bool:
        """Take the PDU that is next; False if it is for the library."""
        pdu = self._line.pdu(_P_DATA_TF)
        fragments = None if pdu is None else _fragments(pdu)
        if self._arriving is None:
            begun = None if fragments is None else self._begun(fragments)
            if fragments is None or begun is None:
                return False
            self._arriving = begun
            del fragments[0]
        elif pdu is None:  # a release, an abort, or what is no P-DATA-TF that anybody would read
            return False
        elif fragments is None or not _belong(fragments, self._arriving.context_id):
            self._dul.event_queue.put(_INVALID_PDU)
            fragments = []
        self._write(self._arriving, fragments)
        self._line.skip_pdu()
        return True

    def _begun(self, fragments: list[Fragment]) -> _Arriving | None:
        """What the first fragment of a message announces, if the rest of its PDU is as plain."""
        context_id, control, command = fragments[0]
        if control & (_COMMAND | _LAST) != _COMMAND | _LAST or not _belong(fragments[1:], context_id):
            return None
        request = read_store_request(command)
        context = self._association._accepted_cx.get(context_id)
        most = self._association.requestor.maximum_length or 0
        if request is None or context is None or 0 < most < _ANSWER_BYTES:
            return None
        if request.sop_class_uid != context.abstract_syntax or request.sop_class_uid not in self._sop_classes:
            return None
        received, self._next = self._next or ReceivedFile(self._spool), None
        received.write(file_head(request.sop_class_uid, request.sop_instance_uid, str(context.transfer_syntax[0])))
        return _Arriving(context_id, request, received)

    def _write(self, arriving: _Arriving, fragments: list[Fragment]) -> None:
        for _, control, data in fragments:
            arriving.received.write(data)
            if control & _LAST:
                self._finish(arriving)

    def _finish(self, arriving: _Arriving) -> None:
        """Answer once it is durable, or why it is not."""
        self._arriving = None
        request = arriving.request
        refused = self._storing.take(
            self._association, arriving.received, (request.sop_class_uid, request.sop_instance_uid)
        )
        status, comment = (SUCCESS, "") if refused is None else (refused.dicom_status, refused.comment)
        answer = store_response(request, arriving.context_id, status, comment)
        if self._dul.to_provider_queue.empty():
            self._line.send(answer)
            self._make_next()
        else:  # behind what we are saying just now
            primitive = P_DATA()
            primitive.presentation_data_value_list.append((arriving.context_id, answer[_PDU_HEAD:]))
            self._dul.send_pdu(primitive)

    def _make_next(self) -> None:
        """The file of the next image; one that the disk refuses is asked for again when there is an image."""
        received = ReceivedFile(self._spool)
        self._next = received if received.refused is None else None

    def _forget_next(self) -> None:
        """Nothing comes at once: no empty file is to lie about."""
        received, self._next = self._next, None
        if received is not None:
            received.discard()


#: Of a PDU with one fragment: what stands before its control header.
_PDU_HEAD: Final = 11


def _fragments(pdu: memoryview) -> list[Fragment] | None:
    """Context, control header and bytes of each presentation data value; ``None``: they do not fill the PDU."""
    found, at = list[Fragment](), 0
    while at < len(pdu):
        if len(pdu) - at < _FRAGMENT.size:
            return None
        length, context_id, control = _FRAGMENT.unpack_from(pdu, at)
        end = at + 4 + length
        if length < 2 or end > len(pdu):
            return None
        found.append((context_id, control, pdu[at + _FRAGMENT.size : end]))
        at = end
    return found or None


def _belong(fragments: list[Fragment], context_id: int) -> bool:
    """Whether they are of one data set, with nothing behind its last."""
    if any(context != context_id or control & _COMMAND for context, control, _ in fragments):
        return False
    return not any(control & _LAST for _, control, _ in fragments[:-1])
