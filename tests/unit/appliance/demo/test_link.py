"""A link that can be cut, and mended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from appliance.demo.link import Link

DEADLINE_S = 10.0


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(near,), daemon=True).start()

    def echo(near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            while data := near.recv(4096):
                near.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield int(server.getsockname()[1])
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def link(echo_port: int) -> Iterator[Link]:
    """A link to it."""
    made = Link(echo_port)
    yield made
    made.close()


def through(link: Link) -> socket.socket:
    """A connection over the link."""
    return socket.create_connection(("127.0.0.1", link.port), DEADLINE_S)


def works(connection: socket.socket) -> bool:
    """Whether a word comes back."""
    try:
        connection.sendall(b"word")
        return connection.recv(4) == b"word"
    except OSError:
        return False


def test_it_carries_both_ways(link: Link) -> None:
    """Several connections at once."""
    with through(link) as one, through(link) as other:
        assert works(one)
        assert works(other)
        assert works(one)


def test_a_cut_ends_what_is_open_and_refuses_what_comes(link: Link) -> None:
    """The far side sees a connection that breaks, and new ones get nowhere."""
    with through(link) as connection:
        assert works(connection)
        link.cut()
        assert not works(connection)
    with through(link) as late:
        assert not works(late)


def test_it_can_be_mended(link: Link) -> None:
    """After the cut, new connections get through."""
    link.cut()
    link.restore()
    with through(link) as connection:
        assert works(connection)


def test_nobody_behind_it() -> None:
    """A far end that does not listen looks like a broken line, not like a hanging one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    link = Link(port)
    try:
        with through(link) as connection:
            assert not works(connection)
    finally:
        link.close()
