"""SIGTERM while packs are opened: native code that no handler of Python's interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.triage.worker import TriageWorker
from tests.small_box import NOW, SmallBox

_BUSY = """
import hashlib, sys
from appliance.process import _ends_at_once
from appliance.supervisor import stop_event
stop_event()
with _ends_at_once():
    print("busy", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""


def test_sigterm_ends_a_process_that_measures_packs() -> None:
    """Minutes of native work, ended at once; without that the supervisor would have to kill it after nine seconds."""
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"busy\n"
        busy.terminate()
        try:
            assert busy.wait(8.0) == -signal.SIGTERM
        finally:
            busy.kill()


def test_the_worker_says_when_it_opens_packs(box: SmallBox) -> None:
    """At its start, and only for as long as nothing is committed."""
    heard: list[str] = []

    @contextmanager
    def opening() -> Iterator[None]:
        heard.append("opens")
        yield
        heard.append("has opened")

    worker = TriageWorker(box.settings, box.home, opening)
    assert heard == []
    worker.start(NOW)
    assert heard == ["opens", "has opened"]
