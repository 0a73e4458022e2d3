"""``scanside serve`` as a person starts it: a process of its own, its words in a file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from appliance.supervisor import END_WITH_INPUT

PATIENCE_S = 90.0


@dataclass
class StartedBox:
    """The process; ``exit_status`` is known once it has ended."""

    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        """All that it has said, on standard output and standard error."""
        return self.log_path.read_text(errors="replace")

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self.process.poll()


@contextmanager
def started_box(config: Path, **environment: str) -> Iterator[StartedBox]:
    """Start it with this file, and end it as systemd does when the block is left."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SCANSIDE_")}
    command = [sys.executable, "-m", "appliance", "serve", "--config", str(config)]
    log = config.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            env={**own, END_WITH_INPUT: "1", **environment},
            cwd=config.parent,
        )
    try:
        yield StartedBox(process, log)
        process.terminate()
        process.wait(30.0)
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def eventually(done: Callable[[], bool], what: str) -> None:
    """Poll until ``done``: four processes take a while to start on a busy machine."""
    give_up = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.05)


def ask(port: int, path: str = "/") -> httpx2.Response:
    """A page of the box."""
    return httpx2.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=10.0)


def status_of(port: int, path: str = "/") -> int:
    """The HTTP status of a page; 0 while nothing answers, as when it is being started again."""
    try:
        return int(ask(port, path).status_code)
    except httpx2.TransportError:
        return 0


def answers(port: int, path: str = "/healthz") -> dict[str, Any]:
    """What it says to machines; empty while nothing listens."""
    try:
        found: dict[str, Any] = ask(port, path).json()
    except httpx2.TransportError:
        return {}
    return found
