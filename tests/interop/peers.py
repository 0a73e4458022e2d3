"""Programs that are not ours, run for real, and a receiver of ours for them to talk to. A missing one is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Table, select

from appliance.configuration import load_settings
from appliance.demo.stage import free_port, listening
from appliance.home import Home, open_home
from appliance.ingest.header import dataset_digest
from appliance.schema import instances, studies
from appliance.settings import Settings
from store_forward.database import reading

#: DCMTK would wait for a name server for every association otherwise, and find its dictionary only by itself.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("DCM")} | {"TCP_NODELAY": "1"}


def program(name: str) -> str:
    """Where Debian put a peer. The project's environment is left out: pynetdicom has namesakes there."""
    found = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
    assert found, f"{name} is missing; make interop installs it"
    return found


def run(name: str, *arguments: str | Path, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a peer to its end; output and errors come back together in ``stdout``."""
    return subprocess.run(
        [program(name), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout_s,
        env=ENVIRONMENT,
    )


def succeed(name: str, *arguments: str | Path) -> str:
    """Run a peer that has to exit with 0; returns what it said."""
    ended = run(name, *arguments)
    assert ended.returncode == 0, f"{name} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


def wait(done: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll until ``done``."""
    give_up = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < give_up, f"waited {timeout_s:.0f} s for {what}"
        time.sleep(0.05)


@contextmanager
def running(command: list[str], log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """A program in the background, from the moment it is ready to the end of the block."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT, env=ENVIRONMENT
        )
        try:
            wait(lambda: process.poll() is not None or ready(), 60.0, f"{command[0]}; see {log}")
            assert process.poll() is None, f"{command} ended at once:\n{log.read_text(errors='replace')}"
            yield process
        finally:
            process.terminate()
            try:
                process.communicate(timeout=20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


class Box:
    """A box of ours with its own home, seen from outside: its port, its tables and its spool."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.port, self.page_port = free_port(), free_port()
        self.log = folder / "box.log"
        self.config = folder / "box.toml"
        self.config.write_text(
            f'home = "{folder / "box"}"\n[dicom]\nport = {self.port}\nquiet_time_s = 0.5\n'
            f"[limits]\nfree_disk_floor_bytes = 0\n[page]\nport = {self.page_port}\n{more}",
            encoding="utf-8",
        )
        self.settings: Settings = load_settings(self.config)
        self.home: Home = open_home(self.settings)

    @contextmanager
    def serving(self, *what: str) -> Iterator[Box]:
        """``serving("run", "receiver")`` or ``serving("serve")``, until the end of the block."""
        command = [sys.executable, "-m", "appliance", *what, "--config", str(self.config)]
        with running(command, self.log, lambda: listening(self.port)):
            yield self
        self.home.engine.dispose()

    def rows(self, table: Table) -> list[Row[Any]]:
        """All rows of a table."""
        with reading(self.home.engine) as connection:
            return list(connection.execute(select(table)))

    def instance(self, sop_instance_uid: str) -> Row[Any]:
        """The row of one instance, which must be there."""
        found = [row for row in self.rows(instances) if row.sop_instance_uid == sop_instance_uid]
        assert found, "the instance is not there"
        return found[0]

    def study(self, study_instance_uid: str) -> Row[Any]:
        """The row of one study, which must be there."""
        found = [row for row in self.rows(studies) if row.study_instance_uid == study_instance_uid]
        assert found, "the study is not there"
        return found[0]

    def stored(self, sop_instance_uid: str) -> Path:
        """A copy of one instance as it was stored, outside the home."""
        digest = self.instance(sop_instance_uid).file_digest
        copy = self.config.with_name(f"{digest}.dcm")
        copy.write_bytes(self.home.spool.file(digest).read_bytes())
        return copy


@contextmanager
def storescp(folder: Path, *options: str | Path) -> Iterator[int]:
    """DCMTK's storage SCP, which writes what it is sent into ``folder`` bit by bit; yields its port.

    ``options`` are more of its own: ``+xa`` takes the usual transfer syntaxes.
    """
    folder.mkdir()
    port = free_port()
    command = [
        program("storescp"),
        "+B",
        "-dhl",
        "-aet",
        "ARCHIVE",
        "-od",
        str(folder),
        *map(str, options),
        str(port),
    ]
    with running(command, folder.with_suffix(".log"), lambda: listening(port)):
        yield port


def digests(folder: Path) -> set[str]:
    """The digests of all data sets in a folder, group 0002 left aside."""
    return {dataset_digest(path) for path in folder.iterdir()}
