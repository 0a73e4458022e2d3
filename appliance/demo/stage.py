"""A box, its cloud, a PACS and a link that can be cut, as real processes on loopback with a home of their own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Engine, func, select

from appliance.configuration import load_settings
from appliance.demo.archive import Archive
from appliance.demo.link import Link
from appliance.home import open_home
from appliance.results.pacs import PacsLink
from appliance.schema import instances, studies
from appliance.settings import Settings
from appliance.supervisor import END_WITH_INPUT
from store_forward.database import reading
from store_forward.errors import DeliveryDeferred
from store_forward.outbox import deliveries
from store_forward.protocol import Answer
from store_forward.uplink import CloudLink


class Stage:
    """Start it with ``with``; everything ends with the block."""

    def __init__(self, folder: Path, page_port: int | None = None, log: Path | None = None) -> None:
        self.folder = folder
        self.archive = Archive()
        self._cloud_port = free_port()
        self.link = Link(self._cloud_port)
        self.dicom_port, self.page_port = free_port(), page_port or free_port()
        self._token = secrets.token_hex(16)
        self._config = folder / "scanside.toml"
        self._log = (log or folder / "log.txt").open("ab")
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._config.write_text(self._configuration(), encoding="utf-8")
        self.settings: Settings = load_settings(self._config)
        self.home = open_home(self.settings)

    def _configuration(self) -> str:
        return f"""home = "{self.folder / "box"}"
[dicom]
port = {self.dicom_port}
quiet_time_s = 0.5
[page]
port = {self.page_port}
[limits]
free_disk_floor_bytes = 67108864
[cloud]
url = "http://127.0.0.1:{self.link.port}"
answer_wait_s = 2.0
timeout_s = 5.0
backoff_cap_s = 5.0
[cloud_endpoint]
port = {self._cloud_port}
[[pacs]]
name = "archive"
host = "127.0.0.1"
port = {self.archive.port}
ae_title = "{self.archive.ae_title}"
"""

    def __enter__(self) -> Stage:
        for name in ("cloud", "serve"):
            self.start(name)
        self.wait(lambda: listening(self.dicom_port) and listening(self.page_port), 60.0, "the box to listen")
        self.wait(lambda: listening(self._cloud_port), 60.0, "the cloud to listen")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in self._programs.values():
            program.terminate()
        for program in self._programs.values():
            try:
                program.wait(15.0)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
            if program.stdin is not None:
                program.stdin.close()
        self.link.close()
        self.archive.close()
        self.home.engine.dispose()
        self._log.close()

    def start(self, name: str) -> None:
        """Start ``serve`` or ``cloud`` as a person would; unlike a person's, it ends with this process."""
        command = [sys.executable, "-m", "appliance", name, "--config", str(self._config)]
        environment = os.environ | {"SCANSIDE_CLOUD_TOKEN": self._token, END_WITH_INPUT: "1"}
        environment.pop("SCANSIDE_HOME", None)
        self._programs[name] = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def stop(self, name: str) -> None:
        """End a program as a person would, and wait until it has ended."""
        program = self._programs.pop(name)
        program.terminate()
        program.wait(60.0)
        if program.stdin is not None:
            program.stdin.close()

    @property
    def engine(self) -> Engine:
        """The box's database."""
        return self.home.engine

    def programs(self) -> list[subprocess.Popen[bytes]]:
        """The two supervisors, ``scanside serve`` and ``scanside cloud``."""
        return list(self._programs.values())

    def send(self, path: Path) -> bool:
        """One C-STORE over an association of its own; True only for status 0x0000."""
        scanner = PacsLink("127.0.0.1", self.dicom_port, "SCANSIDE", "SCANNER", 20.0)
        try:
            scanner.deliver(path)
        except DeliveryDeferred:
            return False
        return True

    def wait(self, done: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Poll until ``done``; a program that has ended or time that is up is an error with the log's place.

        Raises:
            StageFailed: it did not happen.
        """
        give_up = time.monotonic() + timeout_s
        while not done():
            for name, program in self._programs.items():
                if program.poll() is not None:
                    raise StageFailed(f"{name} ended with {program.returncode}; see {self._log.name}")
            if time.monotonic() > give_up:
                raise StageFailed(f"waited {timeout_s:.0f} s for {what}; see {self._log.name}")
            time.sleep(0.1)

    def states(self) -> dict[str, int]:
        """How many studies stand in each state."""
        query = select(studies.c.state, func.count()).group_by(studies.c.state)
        with reading(self.engine) as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}

    def rows(self) -> list[Any]:
        """All study rows."""
        with reading(self.engine) as connection:
            return list(connection.execute(select(studies)))

    def held(self) -> dict[str, str]:
        """SOP Instance UID → spool digest of everything the box has taken in."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(instances.c.sop_instance_uid, instances.c.file_digest))
            return {row[0]: row[1] for row in rows}

    def outbox(self) -> list[Any]:
        """All delivery rows."""
        with reading(self.engine) as connection:
            return list(connection.execute(select(deliveries)))

    def answers(self) -> list[Answer]:
        """Everything the cloud has ever answered this box, straight from the cloud."""
        found: list[Answer] = []
        with closing(CloudLink(f"http://127.0.0.1:{self._cloud_port}", self._token, "box", 65536, 10.0)) as link:
            while page := link.answers(found[-1].seq if found else 0, 0.0):
                found += page
        return found


class StageFailed(Exception):
    """The demonstration did not get where it should; the message says what was waited for and where the log is."""


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listening(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
