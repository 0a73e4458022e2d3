"""Spoiled PDUs against a running receiver: it lives, answers others, keeps its memory, and says nothing invalid."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from pydicom.dataset import Dataset

from tests.dicom_factory import chest_pixels, chest_radiograph
from tests.fuzz.conversations import speak
from tests.fuzz.rounds import first, spoiled_conversations
from tests.interop.peers import Box
from tests.listening_box import Scanner

_AT_ONCE, _BATCH = 8, 200
#: What a receiver may grow by under this, whatever is said to it.
_MOST_GROWTH_BYTES = 256 << 20


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A receiver as its own process."""
    with Box(tmp_path).serving("run", "receiver") as serving:
        yield serving


def test_spoiled_pdus(box: Box) -> None:
    """Several callers at once; after each batch a good image is taken by the same process."""
    scanner = Scanner(box.port)
    assert scanner.send(_good(-1))[0].Status == 0x0000
    receiver = _receiver(box)
    before = receiver.memory_info().rss
    faults: list[str] = []
    numbers = range(first(), first() + spoiled_conversations())
    with ThreadPoolExecutor(_AT_ONCE) as callers:
        for start in range(0, len(numbers), _BATCH):
            for said in callers.map(lambda number: speak(box.port, number), numbers[start : start + _BATCH]):
                faults += said
            assert receiver.is_running(), box.log.read_text(errors="replace")[-4000:]
            assert scanner.send(_good(start))[0].Status == 0x0000
    grown = receiver.memory_info().rss - before
    print(f"\n{len(numbers)} conversations; grown by {grown >> 20} MiB, {receiver.num_threads()} threads")  # noqa: T201
    assert not faults
    assert grown < _MOST_GROWTH_BYTES
    assert receiver.num_threads() < 100
    # The library writes down a PDU that it cannot decode, and goes on; none of its threads or our answers may break.
    log = box.log.read_text(errors="replace")
    for broken in ("Exception in thread", "raised in user's 'evt"):
        assert broken not in log, log[max(log.index(broken) - 2000, 0) :][:4000]


def _good(number: int) -> Dataset:
    return chest_radiograph(seed=f"good {number}", pixels=chest_pixels(24, 24))


def _receiver(box: Box) -> psutil.Process:
    """The process that listens."""
    mine = psutil.Process().children(recursive=True)
    (found,) = (one for one in mine if str(box.config) in one.cmdline())
    return found
