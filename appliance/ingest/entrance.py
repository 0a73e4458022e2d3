"""One port we listen on: a connection is in the waiting room until the library makes an association of it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Any, Final

import structlog
from pynetdicom.association import Association
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from appliance.ingest.waiting import WaitingLine, let_wait
from appliance.ingest.waiting_room import LARGEST_REQUEST_BYTES, Newcomer, WaitingRoom
from appliance.tls import ServerTls

log = structlog.get_logger()
_HEADER: Final = struct.Struct(">BxI")
_HEADER_BYTES: Final = _HEADER.size
_P_DATA_TF: Final = 0x04
_AHEAD_BYTES: Final = 131_072


class Entrance(ThreadedAssociationServer):  # type: ignore[misc]
    """The library's server. ``patience_s`` is for a line that goes silent in the middle of a PDU."""

    waiting_room: WaitingRoom
    tls: ServerTls | None
    patience_s: float

    def open(self, waiting_room: WaitingRoom, tls: ServerTls | None, patience_s: float, queue: int) -> None:
        """Take connections from now on; ``queue`` of them may stand before the door at one moment."""
        self.waiting_room, self.tls, self.patience_s = waiting_room, tls, patience_s
        # The library lets five callers queue; the next of that moment would wait a second for TCP's second try.
        self.socket.listen(queue)
        self.ae._servers.append(self)  # where its own shutdown takes it out of
        self._thread = threading.Thread(target=self.serve_forever, name="entrance", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether connections are taken."""
        return self._thread.is_alive()

    def process_request(self, request: Any, client_address: Any) -> None:
        """A new connection; called in the thread that accepts, so it must not wait for anything."""
        context = None if self.tls is None else self.tls.context()
        try:
            self.waiting_room.enter(request, client_address, context, self._leave)
        except OSError:  # it has gone already
            self.shutdown_request(request)

    def shutdown(self) -> None:
        """Stop listening; who waits in the room stays there."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the loop, which looks every half second otherwise
        super().shutdown()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, also one that comes with its first PDU."""
        super().shutdown_request(request[0] if isinstance(request, tuple) else request)

    def _leave(self, newcomer: Newcomer) -> None:
        request: Any = (newcomer.connection, newcomer.received)
        try:
            newcomer.connection.settimeout(self.patience_s)
            super().process_request(request, newcomer.client_address)
        except (OSError, RuntimeError):  # it has gone, or there is no room for another thread
            log.warning("connection.dropped", address=newcomer.address)
            self.shutdown_request(request)


class AssociationMaker(RequestHandler):  # type: ignore[misc]
    """Makes the association of a connection that has asked for one."""

    request: Any

    def _create_association(self) -> Association:
        connection, first = self.request
        self.request = connection
        association: Association = super()._create_association()
        association.dul.event_queue.get_nowait()  # the library's own line has announced itself; ours does it again
        let_wait(association, Line(association, connection, first))
        association.dul.daemon = True  # its thread, not started yet; cut off in the middle it would outlive a stop
        return association


class Line(WaitingLine):
    """The line of an association, beginning with the PDU that is here already.

    It takes no PDU that is larger than what we ever announce. What :meth:`fill` has read ahead is given out first,
    PDU by PDU or byte by byte.
    """

    def __init__(self, association: Association, connection: socket.socket, first: bytearray) -> None:
        super().__init__(association, connection)
        self._buffer, self._start, self._end = first, 0, len(first)
        self._largest_data_bytes = association.acceptor.maximum_length or 0
        self._largest_bytes = max(LARGEST_REQUEST_BYTES, self._largest_data_bytes)

    @property
    def is_here(self) -> bool:
        """Whether there is something that need not be waited for."""
        return self.holds_pdu or super().is_here

    @property
    def holds_pdu(self) -> bool:
        """Whether the next PDU was read ahead, or as much of it as anybody is going to wait for."""
        held = self._end - self._start
        if held < _HEADER_BYTES:
            return False
        kind, length = self._header()
        return held >= _HEADER_BYTES + length or kind != _P_DATA_TF or length > self._largest_bytes

    def pdu(self, kind: int) -> memoryview | None:
        """What the next PDU says behind its header, if it is of this kind and all here; it stays the next."""
        if self._end - self._start < _HEADER_BYTES:
            return None
        found, length = self._header()
        start = self._start + _HEADER_BYTES
        if found != kind or start + length > self._end:
            return None
        return memoryview(self._buffer)[start : start + length]

    def skip_pdu(self) -> None:
        """The next PDU, all of which is here, was taken."""
        self._start += _HEADER_BYTES + self._header()[1]

    def fill(self) -> bool:
        """Read what there is ahead; False when the other side has closed.

        Raises:
            OSError: the line broke or was silent for too long.
        """
        assert self.socket is not None
        held = self._end - self._start
        next_bytes = self._header()[1] if held >= _HEADER_BYTES else 0  # some say more at once than was agreed
        capacity = _HEADER_BYTES + max(self._largest_data_bytes, next_bytes) + _AHEAD_BYTES
        if len(self._buffer) < capacity or len(self._buffer) - self._end < _AHEAD_BYTES:
            into = self._buffer if len(self._buffer) >= capacity else bytearray(capacity)
            memoryview(into)[:held] = memoryview(self._buffer)[self._start : self._end]
            self._buffer, self._start, self._end = into, 0, held
        with memoryview(self._buffer) as buffer, buffer[self._end :] as free:
            count = self.socket.recv_into(free)
        self._end += count
        return bool(count)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes; fewer when the other side has closed.

        Raises:
            OSError: the line broke or was silent for too long, or so much was never agreed on.
        """
        if nr_bytes > self._largest_bytes:
            raise ConnectionAbortedError(f"a PDU of {nr_bytes} bytes is larger than agreed")
        held = min(nr_bytes, self._end - self._start)
        if not held:
            return super().recv(nr_bytes)
        taken = self._buffer[self._start : self._start + held]
        self._start += held
        return taken if held == nr_bytes else taken + super().recv(nr_bytes - held)

    def _header(self) -> tuple[int, int]:
        """Type of the next PDU and the length of what follows its header (PS3.8 9.3.1)."""
        kind, length = _HEADER.unpack_from(self._buffer, self._start)
        return int(kind), int(length)
