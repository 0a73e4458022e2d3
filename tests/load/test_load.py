"""What open pages cost reception: ``make load``.

DCMTK's ``storescu`` sends to a whole box, in turn with nobody at the page and with 50 open pages (each a stream that
fetches its fragment at every change) and 20 requests a second beside them, on the same two cores. The bar is that
reception keeps nine tenths of its rate. ``ROUNDS=n`` takes more turns.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from pydicom.uid import UID, CTImageStorage
from sqlalchemy import text

from appliance.schema import devices, processes
from store_forward.database import writing
from tests.dicom_factory import as_file, chest_radiograph, uid
from tests.interop.peers import ENVIRONMENT, Box, program, wait

pytestmark = [pytest.mark.load, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("ROUNDS", "7"))
PAGES, REQUESTS_PER_S = 50, 20
INSTANCES, SIDE_PX = 3000, 256
STUDIES = 5000
LEAST = 0.9

FILL = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :studies)
INSERT INTO studies (study_instance_uid, state, revision, images_digest, completes_at, calling_ae_title, patient_id,
  patient_name, patient_age, accession_number, study_date, study_description, modalities, instance_count, size_bytes,
  first_received_at, last_received_at, triage_attempts, decision, escalated, settled_at)
SELECT '1.2.' || n, 'settled', 1, '', 0, 'CT' || n % 3, 'ID' || n, 'DOE^' || n, '', '', '', 'Head', 'CT', 1, 1000,
  :now - n, :now - n, 1, CASE n % 4 WHEN 0 THEN 'urgent' WHEN 1 THEN 'escalate' ELSE 'routine' END, 0, :now FROM numbers
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """The whole box with 5,000 studies, which takes in and reads nothing meanwhile."""
    box = Box(tmp_path)
    box.config.write_text(box.config.read_text().replace("quiet_time_s = 0.5", "quiet_time_s = 3600"))
    with writing(box.home.engine) as connection:
        connection.execute(text(FILL), {"studies": STUDIES, "now": time.time()})
    with box.serving("serve"):
        wait(lambda: bool(box.rows(devices)), 120.0, "the packs to be measured on this machine's devices")
        yield box


@contextmanager
def visited(port: int) -> Iterator[dict[str, Any]]:
    """Somebody at the page until the end of the block; what they got is in the dictionary then."""
    command = [sys.executable, "-m", "tests.load.pages", str(port), str(PAGES), str(REQUESTS_PER_S)]
    found: dict[str, Any] = {}
    visitors = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert visitors.stdout is not None
    assert visitors.stdout.readline() == "all are there\n"
    yield found
    said, _ = visitors.communicate("", timeout=60.0)
    found.update(json.loads(said))


def _cpu_s(box: Box) -> dict[str, float]:
    """CPU seconds that each process has taken so far: less is noise in them than in the time on a clock."""
    taken = {row.name: psutil.Process(row.pid).cpu_times() for row in box.rows(processes)}
    return {name: times.user + times.system for name, times in taken.items()}


class Series:
    """The files of one CT series, which becomes another one of another study before every turn.

    Only the turn's number in the UIDs is written anew, so that the disk has nothing to catch up with meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        pixels = np.random.default_rng(0).integers(0, 4096, (SIDE_PX, SIDE_PX), dtype=np.uint16)
        of_turn = f"{uid('load')}.1000"
        image = chest_radiograph(
            pixels=pixels,
            SOPClassUID=CTImageStorage,
            Modality="CT",
            StudyInstanceUID=of_turn,
            SeriesInstanceUID=of_turn,
        )
        image.file_meta.MediaStorageSOPClassUID = CTImageStorage
        self._paths = []
        for number in range(INSTANCES):
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"{of_turn}.{1000 + number}")
            self._paths.append(as_file(image, folder / f"{number}.dcm"))
        found = re.finditer(re.escape(of_turn).encode(), self._paths[0].read_bytes())
        self._places = [match.end() - 4 for match in found]
        self._turn = 1000

    def next(self) -> list[Path]:
        """The files of a study that was never sent."""
        self._turn += 1
        for path in self._paths:
            with path.open("r+b") as file:
                for place in self._places:
                    file.seek(place)
                    file.write(f"{self._turn:04d}".encode())
        os.sync()
        return self._paths


def _rate(port: int, paths: list[Path]) -> float:
    options = ["-aec", "SCANSIDE", "-nh", "127.0.0.1", str(port)]
    began = time.perf_counter()
    ended = subprocess.run([program("storescu"), *options, *map(str, paths)], env=ENVIRONMENT, check=False)
    seconds = time.perf_counter() - began
    assert ended.returncode == 0
    return len(paths) / seconds


def test_open_pages_do_not_slow_reception(box: Box, tmp_path: Path) -> None:
    """The median over pairs of turns, in one run; which of a pair comes first alternates."""
    series = Series(tmp_path / "files")
    _rate(box.port, series.next())
    ratios = []
    for number in range(ROUNDS):
        rates: dict[bool, float] = {}
        costs: dict[bool, float] = {}
        page_cores, got = 0.0, dict[str, Any]()
        for busy in (True, False) if number % 2 else (False, True):
            paths = series.next()
            somebody: AbstractContextManager[dict[str, Any]] = visited(box.page_port) if busy else nullcontext({})
            with somebody as found:
                before, began = _cpu_s(box), time.perf_counter()
                rates[busy] = _rate(box.port, paths)
                passed_s, after = time.perf_counter() - began, _cpu_s(box)
            costs[busy] = (after["receiver"] - before["receiver"]) / INSTANCES * 1000
            if busy:
                page_cores, got = (after["web"] - before["web"]) / passed_s, found
        assert got["failures"] == 0
        ratios.append(rates[True] / rates[False])
        sys.stdout.write(
            f"alone {rates[False]:.1f}/s and {costs[False]:.2f} ms of CPU each, visited {rates[True]:.1f}/s and"
            f" {costs[True]:.2f} ms: {ratios[-1]:.2f} x; the page took {page_cores:.2f} of a core for {got}\n"
        )
    low, high = min(ratios), max(ratios)
    median = statistics.median(ratios)
    sys.stdout.write(f"reception keeps {median:.2f} of its rate ({low:.2f} to {high:.2f} over {ROUNDS} pairs)\n")
    assert median >= LEAST
