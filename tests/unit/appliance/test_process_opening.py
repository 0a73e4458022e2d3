"""SIGTERM while packs are opened: native code that no handler of Python's interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import nullcontext

import pytest

from appliance.triage.worker import TriageWorker
from tests.small_box import NOW, SmallBox

_BUSY = """
import hashlib, sys
from appliance.supervisor import ends_at_once, stop_event
stop_event()
with ends_at_once():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""


def test_sigterm_ends_a_process_that_measures_packs() -> None:
    """Many minutes of native work, ended at once; else the supervisor would have to kill it after nine seconds."""
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"busy\n"
        busy.terminate()
        try:
            assert busy.wait(60.0) == -signal.SIGTERM
        finally:
            busy.kill()


def test_the_end_of_the_supervisor_ends_it_as_well() -> None:
    """Nobody is left to send SIGTERM when the supervisor was killed; its end of the pipe is closed all the same."""
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        assert busy.stdin is not None
        assert busy.stdout.readline() == b"busy\n"
        busy.stdin.close()
        try:
            assert busy.wait(60.0) == -signal.SIGTERM
        finally:
            busy.kill()


class _Entered(Exception):
    pass


class _Opening(nullcontext[None]):
    def __enter__(self) -> None:
        raise _Entered


def test_the_worker_says_when_it_opens_packs(box: SmallBox) -> None:
    """At its start, before it has opened any."""
    worker = TriageWorker(box.settings, box.home, _Opening)
    with pytest.raises(_Entered):
        worker.start(NOW)
