"""kill -9 of every process at random times: what was acknowledged is there, and nothing is answered twice."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import psutil
import pytest

from appliance.demo.play import count_duplicated, count_lost
from appliance.demo.stage import Stage
from appliance.demo.studies import DemoImage, synthetic_studies
from appliance.process import PROCESSES

# The DICOM library leaves a socket to the garbage collector when a connection is refused, and here many are.
pytestmark = [pytest.mark.crash, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]
_POINTS = os.environ.get("POINTS", "8")
#: More would only be more of the same: exact points are those of test_kill_points.
KILLS = 40 if _POINTS == "all" else min(int(_POINTS), 40)
_ALL = {*PROCESSES, "cloud-endpoint", "cloud-analysis"}


def _victims(stage: Stage) -> dict[str, psutil.Process]:
    """Every supervised process of box and cloud by name; the supervisors themselves stay."""
    found: dict[str, psutil.Process] = {}
    for program in stage.programs():
        for process in psutil.Process(program.pid).children():
            try:
                found[process.cmdline()[4]] = process  # python -m appliance run NAME
            except (psutil.NoSuchProcess, psutil.ZombieProcess, IndexError):
                continue  # ended, or not yet the program it will be
    return found


def _kill_at_random(stage: Stage, kills: int, rng: random.Random, done: threading.Event) -> list[str]:
    """Kill at random times, each time one of those killed least often so far; returns their names."""
    killed: list[str] = []
    while len(killed) < kills and not done.is_set():
        time.sleep(rng.uniform(0.2, 1.2))
        victims = _victims(stage)
        if not victims:
            continue
        fewest = min(killed.count(name) for name in victims)
        name = rng.choice(sorted(name for name in victims if killed.count(name) == fewest))
        victims[name].kill()
        killed.append(name)
    return killed


def _send_until_acknowledged(stage: Stage, image: DemoImage, give_up: float) -> None:
    """A scanner keeps what was not acknowledged and sends it again."""
    while not stage.send(image.path):
        assert time.monotonic() < give_up, "no acknowledgement in time"
        time.sleep(0.3)


@pytest.mark.timeout(600)
def test_random_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Receiver, worker, uplink, page, cloud endpoint and analysis are killed while studies flow and after."""
    rng = random.Random(20264)
    (tmp_path / "images").mkdir()
    images = list(synthetic_studies(tmp_path / "images"))
    killed: list[str] = []
    done = threading.Event()
    with Stage(tmp_path) as stage:
        killer = threading.Thread(target=lambda: killed.extend(_kill_at_random(stage, KILLS, rng, done)))
        killer.start()
        for number, image in enumerate(images):
            if number == len(images) // 3:
                stage.link.cut()
            if number == 2 * len(images) // 3:
                stage.link.restore()
            _send_until_acknowledged(stage, image, time.monotonic() + 120.0)
        killer.join(300.0)
        done.set()
        stage.wait(lambda: stage.states() == {"settled": len(images)}, 300.0, "every study to settle")
        assert len(killed) == KILLS, killed
        assert set(killed) == _ALL or len(_ALL) > KILLS
        assert count_lost(stage, images) == 0
        assert count_duplicated(stage) == 0
        escalated = [row for row in stage.rows() if row.escalated]
        assert escalated
        assert all(row.answered_at is not None for row in escalated)
