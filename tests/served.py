"""An ASGI application behind the real server on a loopback port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from appliance.demo.stage import free_port, listening
from store_forward.http_connections import TimedConnection
from tests.listening_box import wait_until


@contextmanager
def served(app: ASGIApp, http: type[H11Protocol] = TimedConnection) -> Iterator[int]:
    """Serve it until the block ends; yields the port."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, http=http, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: listening(port), "the server to listen")
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()
