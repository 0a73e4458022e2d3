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

KILLS = int(os.environ.get("POINTS", "8"))


def _victims(stage: Stage) -> list[psutil.Process]:
    """Every supervised process of box and cloud; the supervisors themselves stay."""
    found: list[psutil.Process] = []
    for program in stage.programs():
        try:
            found += psutil.Process(program.pid).children()
        except psutil.NoSuchProcess:
            continue
    return found


def _kill_at_random(stage: Stage, kills: int, rng: random.Random, done: threading.Event) -> list[str]:
    killed = []
    while len(killed) < kills and not done.is_set():
        time.sleep(rng.uniform(0.2, 1.2))
        victims = _victims(stage)
        if not victims:
            continue
        victim = rng.choice(victims)
        try:
            name = victim.cmdline()[4]
            victim.kill()
        except (psutil.NoSuchProcess, IndexError):
            continue
        killed.append(name)
    return killed


def _send_until_acknowledged(stage: Stage, image: DemoImage, give_up: float) -> None:
    """A scanner keeps what was not acknowledged and sends it again."""
    while not stage.send(image.path):
        assert time.monotonic() < give_up, "no acknowledgement in time"
        time.sleep(0.3)


@pytest.mark.crash
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
        assert count_lost(stage, images) == 0
        assert count_duplicated(stage) == 0
        escalated = [row for row in stage.rows() if row.escalated]
        assert escalated
        assert all(row.answered_at is not None for row in escalated)
