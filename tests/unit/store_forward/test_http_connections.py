"""Half requests end; slow answers, streams and bodies do not."""

from __future__ import annotations

import asyncio
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from store_forward import http_connections
from tests.served import served

WITHIN_S = 0.5


async def _slow(_request: Request) -> Response:
    await asyncio.sleep(3 * WITHIN_S)
    return PlainTextResponse("done")


async def _length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _stream(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"."
            await asyncio.sleep(WITHIN_S)

    return StreamingResponse(pieces())


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with little patience."""
    monkeypatch.setattr(http_connections, "REQUEST_WITHIN_S", WITHIN_S)
    routes = [Route("/slow", _slow), Route("/stream", _stream), Route("/length", _length, methods=["POST"])]
    with served(Starlette(routes=routes)) as found:
        yield found


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return bytes(answer.read())


def _ended_after(connection: socket.socket, every_s: float | None = None) -> float:
    """Seconds until the server ended it; a byte is sent every so often meanwhile."""
    began = time.monotonic()
    connection.settimeout(every_s or 10.0)
    while True:
        try:
            if connection.recv(1) == b"":
                return time.monotonic() - began
        except TimeoutError:
            assert time.monotonic() - began < 10.0
            connection.sendall(b"x")
        except OSError:
            return time.monotonic() - began


@pytest.mark.parametrize("begun", [b"", b"GET /slow HTTP/1.1\r\nHost: 127"])
@pytest.mark.parametrize("every_s", [None, 0.1])
def test_half_a_request_ends(port: int, begun: bytes, every_s: float | None) -> None:
    """Also when a byte comes now and then."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(begun)
        assert _ended_after(connection, every_s if begun else None) < 5 * WITHIN_S


def test_a_second_request_has_its_own_time(port: int) -> None:
    """On a connection that was used: half of the next one ends, too."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.2)
        assert connection.recv(4096).endswith(b"0")
        connection.sendall(b"GET /slow HTT")
        assert _ended_after(connection) < 5 * WITHIN_S


def test_what_takes_long_after_the_request_is_let_be(port: int) -> None:
    """An answer, a stream, a body that comes slowly."""
    assert _get(port, "/slow") == b"done"
    assert _get(port, "/stream") == b"...."
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            time.sleep(WITHIN_S / 2)
            connection.sendall(b"x")
        assert b"200 OK" in connection.recv(4096)


def test_many_of_them_do_not_hold_up_who_speaks(port: int) -> None:
    """Hundreds, and the page answers at once; then they are gone."""
    many = [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]
    try:
        for one in many:
            one.sendall(b"GET / HT")
        began = time.monotonic()
        assert b"404" in _status(port)
        assert time.monotonic() - began < 2.0
        assert _ended_after(many[-1]) < 5 * WITHIN_S
    finally:
        for one in many:
            one.close()


def _status(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
        return connection.recv(100)
