"""A chunk that breaks off, over a real connection: what arrived is kept, and the rest is not waited for."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx2

from tests.unit.store_forward.cloud.test_endpoint import BEGIN, CHUNK, DATA, OURS, PLACE
from tests.unit.store_forward.running_cloud import running, settings_at


def test_a_chunk_that_falls_silent_ends_its_connection(tmp_path: Path) -> None:
    """408 and the end: a line that comes back must not carry the rest of it to an endpoint that does not listen."""
    with running(settings_at(tmp_path, silence_s=0.2)) as port, httpx2.Client(headers=OURS, trust_env=False) as client:
        url = f"http://127.0.0.1:{port}"
        assert client.post(f"{url}/v1/uploads", headers=BEGIN).status_code == 201
        headers = {"Host": "cloud", **OURS, **CHUNK, "Content-Length": str(len(DATA))}
        lines = [f"PATCH {PLACE} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        with socket.create_connection(("127.0.0.1", port), 20.0) as chunk:
            chunk.sendall("\r\n".join(lines).encode() + DATA[:100])
            said = b"".join(iter(lambda: chunk.recv(4096), b""))
        assert said.startswith(b"HTTP/1.1 408")
        assert b"\r\nconnection: close\r\n" in said.lower()
        assert client.head(url + PLACE).headers["Upload-Offset"] == "100"
