"""The waiting room: nobody who is silent, slow or wrong holds anybody else up."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from appliance.ingest.waiting_room import LARGEST_REQUEST_BYTES, Newcomer, WaitingRoom
from appliance.settings import DicomTls
from appliance.tls import server_context
from tests.certificates import Authority

DEADLINE_S = 20.0
REQUEST = b"\x01\x00\x00\x00\x00\x05hello"


class Place:
    """A room, and who has left it for an association."""

    def __init__(self, most: int = 10, most_per_address: int = 10, patience_s: float = DEADLINE_S) -> None:
        self.room = WaitingRoom(most, most_per_address, patience_s)
        self.left: list[bytes] = []
        self._has_left = threading.Condition()

    def enter(self, address: str = "192.0.2.7", context: ssl.SSLContext | None = None) -> socket.socket:
        """A connection from there; its other end."""
        far, near = _pair()
        self.room.enter(near, (address, 1), context, self._leave)
        return far

    def _leave(self, newcomer: Newcomer) -> None:
        with self._has_left:
            self.left.append(bytes(newcomer.received))
            newcomer.connection.close()
            self._has_left.notify_all()

    def wait_for(self, count: int) -> list[bytes]:
        """Who has left, as soon as there are so many."""
        with self._has_left:
            assert self._has_left.wait_for(lambda: len(self.left) >= count, DEADLINE_S)
            return self.left


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname(), DEADLINE_S)
        near, _ = server.accept()
    return far, near


def _tls(authority: Authority) -> DicomTls:
    box = authority.vouch("localhost")
    return DicomTls(certificate=box.certificate, private_key=box.private_key, client_ca=authority.ca)


@pytest.fixture
def places() -> Iterator[Any]:
    """Makes places; all are closed at the end."""
    made: list[Place] = []

    def make(**limits: Any) -> Place:
        made.append(Place(**limits))
        return made[-1]

    yield make
    for one in made:
        one.room.close()


def test_a_request_in_pieces(places: Any) -> None:
    """Whatever pieces it comes in, one leaves with its request whole and nothing of what follows."""
    place = places()
    with place.enter() as far:
        far.sendall(REQUEST[:1])
        far.sendall(REQUEST[1:8])
        far.sendall(REQUEST[8:] + b"and more")
        assert place.wait_for(1) == [REQUEST]


def test_the_silent_do_not_hold_up_who_speaks(places: Any) -> None:
    """One that says nothing, one that stops in the middle, and then one that speaks."""
    place = places()
    with place.enter(), place.enter() as half, place.enter() as speaks:
        half.sendall(REQUEST[:7])
        speaks.sendall(REQUEST)
        assert place.wait_for(1) == [REQUEST]


def test_patience_ends(places: Any) -> None:
    """Who has not asked in time is cut off, also in the middle of the request."""
    place = places(patience_s=0.2)
    with place.enter() as silent, place.enter() as half:
        half.sendall(REQUEST[:7])
        assert (silent.recv(1), half.recv(1)) == (b"", b"")
    assert place.left == []


@pytest.mark.parametrize("limit", [{"most": 2}, {"most_per_address": 2}])
def test_the_most_silent_one_has_to_go(places: Any, limit: dict[str, int]) -> None:
    """Beyond the limit it is the oldest, not the newcomer."""
    place = places(**limit)
    with place.enter() as oldest, place.enter(), place.enter() as newest:
        assert oldest.recv(1) == b""
        newest.sendall(REQUEST)
        assert place.wait_for(1) == [REQUEST]


def test_another_address_has_room_of_its_own(places: Any) -> None:
    """Only the crowded address loses one."""
    place = places(most_per_address=1)
    with place.enter("192.0.2.1") as first, place.enter("192.0.2.2"), place.enter("192.0.2.2") as newest:
        first.sendall(REQUEST)
        newest.sendall(REQUEST)
        assert place.wait_for(2) == [REQUEST, REQUEST]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x04\x00\x00\x00\x00\x00", 2),
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (b"\x16\x03\x01\x00\xa5", 1),
        (b"\x01\x00" + (LARGEST_REQUEST_BYTES + 1).to_bytes(4, "big"), 6),
    ],
)
def test_what_is_no_request_is_aborted(places: Any, said: bytes, reason: int) -> None:
    """An A-ABORT of the service provider (PS3.8 table 9-26), then the line is closed."""
    place = places()
    with place.enter() as far:
        far.sendall(said)
        assert far.recv(100) == bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, reason])
    assert place.left == []


def test_one_that_goes_by_itself(places: Any) -> None:
    """A port scanner that connects and closes leaves nothing."""
    place = places(most=1)
    place.enter().close()
    with place.enter() as far:
        far.sendall(REQUEST)
        assert place.wait_for(1) == [REQUEST]


def test_only_who_has_spoken_is_worth_a_line(places: Any, tmp_path: Path) -> None:
    """A load balancer that looks whether the port is open fills no log, over TLS neither; a handshake cut off does."""
    place = places(most=2, patience_s=0.2)
    context = server_context(_tls(Authority(tmp_path)))
    with capture_logs() as logs:
        for silent in (place.enter(), place.enter(context=context)):
            silent.close()
        with place.enter(context=context) as waits:
            assert waits.recv(1) == b""
        assert logs == []
        with place.enter(context=context) as broken:
            broken.sendall(b"\x16\x03\x01\x02\x00\x01")
            broken.shutdown(socket.SHUT_WR)
            assert broken.recv(1) == b"\x15"  # the type of a TLS alert
            while broken.recv(100):
                pass
    assert [one["cause"].partition(":")[0] for one in logs] == ["TLS handshake"]


def test_closing_turns_everybody_away(places: Any) -> None:
    """Whoever still waits sees the line end."""
    place = places()
    with place.enter() as far:
        place.room.close()
        assert far.recv(1) == b""


def test_a_silent_handshake_holds_nobody_up(places: Any, tmp_path: Path) -> None:
    """Over TLS too: one says nothing, one stops inside its handshake, the third gets through."""
    authority = Authority(tmp_path)
    context = server_context(_tls(authority))
    place = places()
    with place.enter(context=context), place.enter(context=context) as half, place.enter(context=context) as plain:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        scanner = authority.client(authority.vouch("scanner"))
        with scanner.wrap_socket(plain, server_hostname="localhost") as speaks:
            speaks.sendall(REQUEST)
            assert place.wait_for(1) == [REQUEST]
