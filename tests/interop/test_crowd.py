"""Ten thousand associations, most of them rude, one after another and beside each other; then a modality sends."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from appliance.schema import instances
from tests.dicom_factory import as_file, chest_radiograph
from tests.fuzz.conversations import associate, pdu
from tests.interop.peers import Box, succeed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

ASSOCIATIONS, AT_ONCE = 10_000, 16
_ACCEPTED, _REJECTED, _RELEASE, _ABORT = 2, 3, 5, 7
_PATIENCE_S = 10.0
_MORE_BYTES = 64 << 20


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A receiver with the default limits."""
    with Box(tmp_path).serving("run", "receiver") as box:
        yield box


def _one(port: int, number: int) -> str:
    """Asks for an association, and ends it in one of five ways; returns the answer."""
    try:
        with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as line:
            line.sendall(associate(number) if number % 5 else associate(number)[:40])
            if number % 5 == 0:
                return "left in the middle"
            answer = line.recv(65_536)[:1]
            if answer == bytes([_ACCEPTED]):
                if number % 5 == 1:
                    line.sendall(pdu(_RELEASE, bytes(4)))
                    line.recv(100)
                elif number % 5 == 2:
                    line.sendall(pdu(_ABORT, bytes(4)))
                elif number % 5 == 3:
                    line.sendall(b"\xff" * 100)
            words = {_ACCEPTED: "accepted", _REJECTED: "rejected", _ABORT: "aborted"}
            return words.get(answer[0] if answer else 0, "closed")
    except ConnectionError:
        return "closed"


def _measure(process: psutil.Process) -> tuple[int, int, int]:
    return process.memory_info().rss, process.num_fds(), process.num_threads()


def test_ten_thousand_associations(box: Box, tmp_path: Path) -> None:
    """Each is answered; afterwards memory, descriptors and threads are what they were, and an image is taken in."""
    (process,) = [one for one in psutil.Process().children() if "receiver" in one.cmdline()]
    for number in range(200):  # what is only made once
        _one(box.port, number)
    time.sleep(1.0)
    before = _measure(process)
    with ThreadPoolExecutor(AT_ONCE) as people:
        answers = Counter(people.map(lambda number: _one(box.port, number), range(ASSOCIATIONS)))
    assert sum(answers.values()) == ASSOCIATIONS
    assert answers["accepted"] > ASSOCIATIONS // 2, answers
    path = as_file(chest_radiograph(), tmp_path / "image.dcm")
    succeed("storescu", "-aec", "SCANSIDE", "127.0.0.1", str(box.port), str(path))
    assert len(box.rows(instances)) == 1
    give_up = time.monotonic() + 60.0
    while time.monotonic() < give_up:
        after = _measure(process)
        if after[0] < before[0] + _MORE_BYTES and after[1] <= before[1] + 20 and after[2] <= before[2] + 5:
            return
        time.sleep(1.0)
    pytest.fail(f"memory, descriptors, threads: {before} before, {after} after; {answers}")
