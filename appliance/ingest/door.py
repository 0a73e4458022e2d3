"""One port we listen on: a connection is in the waiting room until the library makes an association of it."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Any

import structlog
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from appliance.ingest.waiting_room import LARGEST_REQUEST_BYTES, Newcomer, WaitingRoom
from appliance.tls import ServerTls

log = structlog.get_logger()


class Door(ThreadedAssociationServer):  # type: ignore[misc]
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
        self._thread = threading.Thread(target=self.serve_forever, name="door", daemon=True)
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
        association.dul.socket = Line(association, connection, first)
        association.dul.daemon = True  # its thread, not started yet; cut off in the middle it would outlive a stop
        return association


class Line(AssociationSocket):  # type: ignore[misc]
    """The library's socket of an association, beginning with the PDU that is here already.

    It takes no PDU that is larger than what we ever announce, and no file descriptor is too high for it.
    """

    def __init__(self, association: Association, connection: socket.socket, first: bytearray) -> None:
        super().__init__(association, client_socket=connection)
        self._first = first
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._largest_bytes = max(LARGEST_REQUEST_BYTES, association.acceptor.maximum_length or 0)

    @property
    def ready(self) -> bool:
        """Whether something can be read now."""
        if self.socket is None or not self._is_connected:
            return False
        pending = getattr(self.socket, "pending", None)  # TLS may hold bytes that the kernel has given out already
        return bool(self._first) or bool(self._poll.poll(0)) or (pending is not None and bool(pending()))

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes; fewer when the other side has closed.

        Raises:
            OSError: the line broke or was silent for too long, or so much was never agreed on.
        """
        if nr_bytes > self._largest_bytes:
            raise ConnectionAbortedError(f"a PDU of {nr_bytes} bytes is larger than agreed")
        if self._first:
            taken, self._first = self._first[:nr_bytes], self._first[nr_bytes:]
            return taken
        received: bytearray = super().recv(nr_bytes)
        return received

    def _shutdown_socket(self) -> None:
        """The library leaves open what the other side has reset."""
        super()._shutdown_socket()
        if self.socket is not None:
            self.socket.close()
