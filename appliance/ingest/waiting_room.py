"""Connections that have not asked for an association yet: one thread watches them all, and nobody waits for another.

A connection leaves when its whole A-ASSOCIATE-RQ is here (PS3.8 9.3.2), over TLS after its handshake. Until then it
costs a socket and a few bytes; the library would give each of them two threads that look a thousand times a second.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pynetdicom.pdu import A_ABORT_RQ

from appliance.tls import why

log = structlog.get_logger()

#: 128 presentation contexts with 60 transfer syntaxes each need a fifth of this.
LARGEST_REQUEST_BYTES: Final = 1_048_576
_HEADER_BYTES: Final = 6
_ASSOCIATE_RQ: Final = 0x01
_KNOWN_PDU_TYPES: Final = range(0x01, 0x08)
_PIECE_BYTES: Final = 65_536
_SAY_AGAIN_S: Final = 1.0

#: A-ABORT by the service provider (PS3.8 table 9-26).
_UNRECOGNISED_PDU, _UNEXPECTED_PDU, _INVALID_VALUE = 1, 2, 6

Leave = Callable[["Newcomer"], None]


@dataclass(eq=False)
class Newcomer:
    """One connection; ``leave`` is called with it once ``received`` is its whole request."""

    connection: socket.socket
    address: str
    client_address: Any
    leave: Leave
    gives_up_at: float
    shakes_hands: bool
    has_spoken: bool = False
    received: bytearray = field(default_factory=bytearray)


class _Turned(Exception):
    """The connection is of no use: ``cause`` for the log, ``reason`` for an A-ABORT if it speaks DICOM at all."""

    def __init__(self, cause: str, reason: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.reason = reason


class WaitingRoom:
    """Room for ``most`` newcomers, and ``most_per_address`` of one address; beyond it the most silent one has to go."""

    def __init__(self, most: int, most_per_address: int, patience_s: float) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._patience_s = patience_s
        self._inside: dict[Newcomer, None] = {}  # the oldest first
        self._at_the_door: deque[Newcomer] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell, self._hears = socket.socketpair()
        for end in (self._bell, self._hears):
            end.setblocking(False)
        self._selector.register(self._hears, selectors.EVENT_READ)
        self._turned_out, self._say_again_at = 0, 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name="waiting-room", daemon=True)
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether it is being watched."""
        return self._thread.is_alive()

    def enter(
        self, connection: socket.socket, client_address: Any, context: ssl.SSLContext | None, leave: Leave
    ) -> None:
        """Take a connection in, from any thread; with ``context`` it has to shake hands first. Never blocks.

        Raises:
            OSError: the connection has gone already.
        """
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        gives_up_at = time.monotonic() + self._patience_s
        address = str(client_address[0])
        self._at_the_door.append(
            Newcomer(connection, address, client_address, leave, gives_up_at, shakes_hands=context is not None)
        )
        self._ring()

    def close(self) -> None:
        """Turn everybody away and end."""
        self._closing = True
        self._ring()
        self._thread.join()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # it rings already, or the room is closed
            self._bell.send(b"\0")

    def _watch(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._next_look_s()):
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        self._hears.recv(_PIECE_BYTES)
                elif key.data in self._inside:  # one of this round may have had to make room
                    self._go_on(key.data)
            while self._at_the_door:
                self._let_in(self._at_the_door.popleft())
            self._turn_out_the_late(time.monotonic())
        for newcomer in (*self._inside, *self._at_the_door):
            self._turn_out(newcomer, None)
        self._selector.close()
        self._hears.close()
        self._bell.close()

    def _next_look_s(self) -> float | None:
        first = next(iter(self._inside), None)
        return None if first is None else max(first.gives_up_at - time.monotonic(), 0.0)

    def _let_in(self, newcomer: Newcomer) -> None:
        self._inside[newcomer] = None
        self._selector.register(newcomer.connection, selectors.EVENT_READ, newcomer)
        neighbours = [one for one in self._inside if one.address == newcomer.address]
        # The newcomer may be about to speak; who has been silent longest has to go.
        if len(neighbours) > self._most_per_address:
            self._make_room(neighbours[0], "too many idle connections from one address")
        elif len(self._inside) > self._most:
            self._make_room(next(iter(self._inside)), "too many idle connections")
        if newcomer in self._inside:
            self._go_on(newcomer)

    def _make_room(self, silent: Newcomer, cause: str) -> None:
        """There may be thousands of them in a second: one line says how many there were since the last."""
        self._turned_out += 1
        if time.monotonic() >= self._say_again_at:
            log.warning("connection.refused", cause=cause, address=silent.address, closed=self._turned_out)
            self._turned_out, self._say_again_at = 0, time.monotonic() + _SAY_AGAIN_S
        self._turn_out(silent, None)

    def _go_on(self, newcomer: Newcomer) -> None:
        try:
            waits_for = _step(newcomer)
        except _Turned as turned:
            self._turn_out(newcomer, turned.cause, turned.reason)
        except OSError as error:
            in_handshake = newcomer.shakes_hands and newcomer.has_spoken
            self._turn_out(newcomer, f"TLS handshake: {why(error)}" if in_handshake else None)
        else:
            if waits_for:
                self._selector.modify(newcomer.connection, waits_for, newcomer)
            else:
                self._forget(newcomer)
                newcomer.leave(newcomer)

    def _turn_out_the_late(self, now: float) -> None:
        while (first := next(iter(self._inside), None)) is not None and first.gives_up_at <= now:
            self._turn_out(first, "no association was asked for in time" if first.has_spoken else None)

    def _turn_out(self, newcomer: Newcomer, cause: str | None, abort: int | None = None) -> None:
        """Close; a connection that came and went, as those of port scanners and load balancers, is not worth a line."""
        if cause is not None:
            log.warning("connection.refused", cause=cause, address=newcomer.address)
        self._forget(newcomer)
        with contextlib.suppress(OSError):
            if abort is not None:
                newcomer.connection.send(_abort(abort))
        with contextlib.suppress(OSError):
            newcomer.connection.shutdown(socket.SHUT_RDWR)
        newcomer.connection.close()

    def _forget(self, newcomer: Newcomer) -> None:
        if self._inside.pop(newcomer, _NOBODY) is not _NOBODY:
            self._selector.unregister(newcomer.connection)


_NOBODY: Final = object()


def _step(newcomer: Newcomer) -> int:
    """Go on as far as possible without waiting: what to wait for then, or 0 when the request is whole.

    Raises:
        _Turned: it is of no use.
        OSError: it broke off; over TLS, or its handshake failed.
    """
    try:
        # Past TLS, which has not begun perhaps; nothing is taken away.
        newcomer.has_spoken = newcomer.has_spoken or bool(socket.socket.recv(newcomer.connection, 1, socket.MSG_PEEK))
        if newcomer.shakes_hands:
            assert isinstance(newcomer.connection, ssl.SSLSocket)
            newcomer.connection.do_handshake()
            newcomer.shakes_hands = False
        while missing := _missing(newcomer.received):
            piece = newcomer.connection.recv(min(missing, _PIECE_BYTES))
            if not piece:
                raise ConnectionResetError
            newcomer.received += piece
    except (ssl.SSLWantReadError, BlockingIOError):
        return selectors.EVENT_READ
    except ssl.SSLWantWriteError:
        return selectors.EVENT_WRITE
    return 0


def _missing(received: bytearray) -> int:
    """Bytes to the end of the header or else of the request; 0: it is whole. Raises _Turned: it is no request."""
    if received and received[0] != _ASSOCIATE_RQ:
        known = received[0] in _KNOWN_PDU_TYPES
        raise _Turned("no association was asked for first", _UNEXPECTED_PDU if known else _UNRECOGNISED_PDU)
    if len(received) < _HEADER_BYTES:
        return _HEADER_BYTES - len(received)
    length = int.from_bytes(received[2:_HEADER_BYTES], "big")
    if length > LARGEST_REQUEST_BYTES:
        raise _Turned("the request for an association is too large", _INVALID_VALUE)
    return _HEADER_BYTES + length - len(received)


def _abort(reason: int) -> bytes:
    abort = A_ABORT_RQ()
    abort.source = 0x02
    abort.reason_diagnostic = reason
    return bytes(abort.encode())
