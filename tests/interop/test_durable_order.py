"""A kill cannot reveal a missing fsync, so the trace must: file, rename, folder, commit, and only then the answer."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.demo.scanner import send_all
from appliance.demo.stage import free_port, listening
from appliance.demo.studies import synthetic_studies

pytestmark = pytest.mark.interop
_CALLS = "fsync,fdatasync,rename,renameat,renameat2,sendto,write"


def _trace_of_one_instance(folder: Path) -> list[str]:
    """System calls of a receiver while it takes one instance in."""
    strace = shutil.which("strace")
    assert strace, "strace is missing; make interop installs it"
    port = free_port()
    config = folder / "box.toml"
    config.write_text(f'home = "{folder / "home"}"\n[dicom]\nport = {port}\n', encoding="utf-8")
    trace = folder / "trace"
    receiver = [sys.executable, "-m", "appliance", "run", "receiver", "--config", str(config)]
    command = [strace, "-f", "-y", "-qq", "-s", "0", "-e", f"trace={_CALLS}", "-o", str(trace), *receiver]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + 60.0
        while not listening(port):
            assert time.monotonic() < give_up, "the receiver did not start"
            time.sleep(0.1)
        (folder / "images").mkdir()
        image = next(iter(synthetic_studies(folder / "images")))
        before = len(trace.read_text().splitlines())
        assert list(send_all([image.path], "127.0.0.1", port, "SCANSIDE")) == [0]
    finally:
        process.communicate(timeout=30.0)  # the end of its input ends it; strace itself passes no signal on
    return trace.read_text().splitlines()[before:]


def _first(lines: list[str], pattern: str, after: int) -> int:
    for number in range(after, len(lines)):
        if re.search(pattern, lines[number]):
            return number
    raise AssertionError(f"{pattern} does not follow line {after} of the trace:\n" + "\n".join(lines))


@pytest.mark.timeout(180)
def test_the_answer_follows_everything_durable(tmp_path: Path) -> None:
    """fsync file → rename → fsync folder → commit (synced write-ahead log) → acknowledgement."""
    lines = _trace_of_one_instance(tmp_path)
    file = _first(lines, r"f(data)?sync\(\d+<[^>]*/spool/incoming/", 0)
    moved = _first(lines, r"rename\w*\(.*/spool/objects/", file)
    folder = _first(lines, r"f(data)?sync\(\d+<[^>]*/spool/objects/[0-9a-f]{2}>", moved)
    commit = _first(lines, r"f(data)?sync\(\d+<[^>]*scanside\.db-wal>", folder)
    answers = [n for n, line in enumerate(lines) if re.search(r"(sendto|write)\(\d+<(socket|TCP)", line)]
    assert any(n > commit for n in answers), "nothing was answered after the commit"
    between = [lines[n] for n in answers if file < n < commit]
    assert not between, "something was answered before the commit:\n" + "\n".join(between)
