"""A box under mixed traffic for ``MINUTES``: memory, files and threads stay, and nothing is lost."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from appliance.demo.play import count_duplicated, count_lost
from appliance.demo.stage import Stage
from appliance.process import PROCESSES
from tests.soak.traffic import Traffic

pytestmark = [pytest.mark.soak, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]
_MINUTES = float(os.environ.get("MINUTES", "2"))
_WARM_S = min(300.0, _MINUTES * 60.0 / 5.0)
_GROWTH = 1.1
_LULL_S = 5.0


@dataclass(frozen=True)
class Use:
    """What one process holds: resident bytes, file descriptors, threads."""

    resident_bytes: int
    descriptors: int
    threads: int


def _used(stage: Stage) -> dict[str, Use]:
    """By process of the box; taken in a lull, so that what is under way does not count."""
    time.sleep(_LULL_S)
    (box,) = [one for one in stage.programs() if isinstance(one.args, list) and "serve" in one.args]
    found = {}
    for child in psutil.Process(box.pid).children():
        with child.oneshot():
            name = child.cmdline()[4]  # python -m appliance run NAME
            found[name] = Use(child.memory_info().rss, child.num_fds(), child.num_threads())
    assert set(found) == set(PROCESSES)
    return found


def _table(before: dict[str, Use], after: dict[str, Use]) -> str:
    return "\n".join(
        f"{name:9} {was.resident_bytes / 1e6:6.0f} → {now.resident_bytes / 1e6:6.0f} MB, "
        f"{was.descriptors} → {now.descriptors} files, {was.threads} → {now.threads} threads"
        for name, was in before.items()
        for now in [after[name]]
    )


@pytest.mark.timeout(_MINUTES * 60.0 + 1800.0)
def test_a_box_neither_grows_nor_loses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Resident memory at the end is at most 1.1 times that after the warm-up; descriptors and threads are flat."""
    with Stage(tmp_path) as stage:
        traffic = Traffic(stage, tmp_path / "scanner", random.Random(20264))
        traffic.run(_WARM_S)
        before, restarted = _used(stage), _restarts(stage)
        traffic.run(_MINUTES * 60.0 - _WARM_S)
        after = _used(stage)
        lost, duplicated = count_lost(stage, traffic.acknowledged), count_duplicated(stage)
        assert _restarts(stage) == restarted == 0
    growth = sum(use.resident_bytes for use in after.values()) / sum(use.resident_bytes for use in before.values())
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{_MINUTES:.0f} min, {len(traffic.acknowledged)} studies, {traffic.done}: "
            f"memory x {growth:.3f}, lost {lost}, duplicated {duplicated}\n{_table(before, after)}"
        )
    assert (lost, duplicated) == (0, 0)
    assert growth <= _GROWTH
    for name, was in before.items():
        assert after[name].descriptors <= was.descriptors + 2, name
        assert after[name].threads <= was.threads + 2, name


def _restarts(stage: Stage) -> int:
    """How many processes of the box had to be started again."""
    log = (stage.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    return sum(
        f'"process": "{name}"' in line for line in log.splitlines() if "process.ended" in line for name in PROCESSES
    )
