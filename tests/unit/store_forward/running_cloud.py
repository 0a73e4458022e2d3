"""A real endpoint on loopback, and a small TCP proxy that cuts connections where a test says."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store_forward.cloud.serve import build_server
from store_forward.cloud.settings import CloudSettings
from store_forward.uplink import CloudLink

TOKEN = "a token for tests"
CHUNK_BYTES = 65_536


def settings_at(home: Path, **changes: Any) -> CloudSettings:
    """Settings for an endpoint on a free port of this machine, without a floor under the disk."""
    usual = {"home": home, "port": 0, "token": TOKEN, "free_floor_bytes": 0, "answer_poll_s": 0.01}
    return CloudSettings(**{**usual, **changes})


@contextmanager
def running(settings: CloudSettings, address: str = "127.0.0.1") -> Iterator[int]:
    """The endpoint, served by uvicorn in a thread; gives its port."""
    server = build_server(settings)
    with socket.create_server((address, 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20.0)
            assert not thread.is_alive()


@contextmanager
def link_to(port: int, token: str = TOKEN, box: str = "box-1", chunk_bytes: int = CHUNK_BYTES) -> Iterator[CloudLink]:
    """A real link to whatever listens on ``port``."""
    link = CloudLink(f"http://127.0.0.1:{port}", token, box, chunk_bytes, timeout_s=10.0)
    yield link
    link.close()


def deliver(link: CloudLink, path: Path, **changes: Any) -> Any:
    """Deliver the whole file under its true digest unless ``changes`` say otherwise."""
    data = path.read_bytes()
    usual = {"digest": hashlib.sha256(data).hexdigest(), "size_bytes": len(data), "content_type": "application/zip"}
    return link.deliver(path, **{**usual, "priority": 1, "stop": lambda: False, **changes})


@dataclass
class Cut:
    """What befalls one connection once ``after_bytes`` have gone to the endpoint.

    It is closed; or, with ``only_answers``, the bytes get through and the answer to them does not.
    """

    after_bytes: int
    only_answers: bool = False


@dataclass
class CuttingProxy:
    """Passes bytes on to ``port``; the n-th connection suffers the n-th cut, later ones none."""

    port: int
    cuts: list[Cut]
    sent_bytes: int = 0
    connections: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Accept connections; gives the proxy's own port."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = threading.Thread(target=self._accept, args=(listener,))
            accepting.start()
            try:
                yield listener.getsockname()[1]
            finally:
                with suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                accepting.join(10.0)
                for thread in self._threads:
                    thread.join(10.0)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                cut = self.cuts[self.connections] if self.connections < len(self.cuts) else None
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self.port))
                pair = _Pair(client, server, cut)
                for target in (self._upward, self._downward):
                    thread = threading.Thread(target=target, args=(pair,))
                    thread.start()
                    self._threads.append(thread)

    def _upward(self, pair: _Pair) -> None:
        with suppress(OSError):
            while data := pair.client.recv(16_384):
                if pair.cut is not None and not pair.cut.only_answers:
                    data = data[: pair.cut.after_bytes - pair.upward_bytes]
                pair.upward_bytes += len(data)
                self.sent_bytes += len(data)
                pair.server.sendall(data)
                if pair.reached and pair.cut is not None and not pair.cut.only_answers:
                    break
        pair.close()

    def _downward(self, pair: _Pair) -> None:
        with suppress(OSError):
            while data := pair.server.recv(16_384):
                if pair.reached:
                    break
                pair.client.sendall(data)
        pair.close()


@dataclass
class _Pair:
    client: socket.socket
    server: socket.socket
    cut: Cut | None
    upward_bytes: int = 0

    @property
    def reached(self) -> bool:
        return self.cut is not None and self.upward_bytes >= self.cut.after_bytes

    def close(self) -> None:
        for each in (self.client, self.server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def saying(reply: bytes) -> Iterator[int]:
    """A server that answers every connection with the same bytes; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.settimeout(5.0)
                        client.recv(65_536)
                        client.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10.0)
