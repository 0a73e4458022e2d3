"""A network link that can be cut: a TCP relay between the box and its cloud."""

from __future__ import annotations

import contextlib
import socket
import threading


class Link:
    """Relays connections from a loopback port of its own to ``target_port`` until it is cut."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._up = threading.Event()
        self._up.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop every connection and refuse new ones."""
        self._up.clear()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def restore(self) -> None:
        """Let connections through again."""
        self._up.set()

    def close(self) -> None:
        """Cut for good and stop listening."""
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._relay, args=(near,), daemon=True).start()

    def _relay(self, near: socket.socket) -> None:
        with near:
            if not self._up.is_set():
                return
            try:
                far = socket.create_connection(self._target, timeout=5.0)
            except OSError:
                return  # nobody listens there now; the near side sees the connection close
            far.settimeout(None)
            with far:
                self._track(near, far)
                back = threading.Thread(target=_pump, args=(far, near), daemon=True)
                back.start()
                _pump(near, far)
                back.join()
                self._untrack(near, far)

    def _track(self, *connections: socket.socket) -> None:
        with self._lock:
            self._open.update(connections)

    def _untrack(self, *connections: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(connections)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
