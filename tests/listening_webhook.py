"""A real HTTP server on loopback that takes webhooks, checks their signatures, and answers as a test says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Told:
    """One request: its headers (lower case) and its body as JSON."""

    headers: dict[str, str]
    body: dict[str, Any]
    whole: bytes

    @property
    def signed_by_us(self) -> bool:
        """Whether the signature is right; worked out here from the convention alone."""
        said = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.whole
        mac = base64.b64encode(hmac.new(KEY, said, hashlib.sha256).digest()).decode()
        return f"v1,{mac}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Answering:
    """What the next request gets; the last one stays for all that follow."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang_up: bool = False


@dataclass
class WebhookServer:
    """What came, and what is answered."""

    port: int = 0
    told: list[Told] = field(default_factory=list)
    answers: list[Answering] = field(default_factory=lambda: [Answering()])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/events"

    def next_answer(self) -> Answering:
        """The one whose turn it is."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked was killed in the middle: the tests that kill expect that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def listening_webhook() -> Iterator[WebhookServer]:
    """Serve until the block ends."""
    site = WebhookServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            whole = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.told.append(Told(headers, json.loads(whole), whole))
            answer = site.next_answer()
            self.close_connection = answer.hang_up
            if answer.hang_up:
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *words: object) -> None:
            """Nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join(10.0)
        server.server_close()
