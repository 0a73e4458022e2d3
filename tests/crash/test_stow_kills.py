"""The web process is killed while senders store by STOW-RS: whoever was told "stored" can rely on it."""

from __future__ import annotations

import sys
import threading
from functools import partial
from pathlib import Path

import httpx2
import pytest

from appliance.demo.stage import listening
from appliance.schema import instances
from tests.dicom_factory import as_bytes, chest_radiograph
from tests.interop.peers import Box, running, wait

pytestmark = [pytest.mark.crash, pytest.mark.interop, pytest.mark.timeout(900)]
_SENDERS = 3
_KILLS = 4


class _Sender(threading.Thread):
    """Stores one study after the other, and notes what it was told."""

    def __init__(self, number: int, round_: int, port: int) -> None:
        super().__init__()
        self.told: dict[str, int] = {}
        self.unanswered: list[str] = []
        self._number, self._round, self._port = number, round_, port

    def run(self) -> None:
        with httpx2.Client(timeout=60.0, trust_env=False) as client:
            for n in range(1000):
                seed = f"{self._round}-{self._number}-{n}"
                uid = str(chest_radiograph(seed=seed).SOPInstanceUID)
                try:
                    self.told[uid] = _store(client, self._port, seed)
                except httpx2.TransportError:
                    self.unanswered.append(seed)
                    return


def _store(client: httpx2.Client, port: int, seed: str) -> int:
    content = as_bytes(chest_radiograph(seed=seed))
    headers = {"Content-Type": "application/dicom"}
    return client.post(f"http://127.0.0.1:{port}/dicom-web/studies", content=content, headers=headers).status_code


def _answered(senders: list[_Sender], number: int) -> bool:
    return sum(len(sender.told) for sender in senders) >= number


def test_what_was_answered_is_held_and_what_was_not_can_be_sent_again(tmp_path: Path) -> None:
    """Four kills amid three senders; then each of the unanswered is sent once more, and all are held once."""
    box = Box(tmp_path, "[dicomweb]\nenabled = true\n")
    command = [sys.executable, "-m", "appliance", "run", "web", "--config", str(box.config)]
    told: dict[str, int] = {}
    unanswered: list[str] = []
    for round_ in range(_KILLS):
        with running(command, box.log, lambda: listening(box.page_port)) as process:
            senders = [_Sender(number, round_, box.page_port) for number in range(_SENDERS)]
            for sender in senders:
                sender.start()
            wait(partial(_answered, senders, 3 * round_ + 1), 300.0, "some answers")
            process.kill()
            for sender in senders:
                sender.join()
                told |= sender.told
                unanswered += sender.unanswered
    assert set(told.values()) == {200}
    assert len(unanswered) == _KILLS * _SENDERS
    held = {row.sop_instance_uid: row.file_digest for row in box.rows(instances)}
    assert told.keys() <= held.keys()
    assert all(box.home.spool.verify(digest) for digest in held.values())
    with running(command, box.log, lambda: listening(box.page_port)), httpx2.Client(trust_env=False) as client:
        assert [_store(client, box.page_port, seed) for seed in unanswered] == [200] * len(unanswered)
    everything = told.keys() | {chest_radiograph(seed=seed).SOPInstanceUID for seed in unanswered}
    rows = [row.sop_instance_uid for row in box.rows(instances)]
    assert sorted(rows) == sorted(everything)
    box.home.engine.dispose()
