"""Where the shipped chest pack says it looked is where it looked: covering that place is what lowers the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.choice import Candidate, open_candidate
from hardware.session import Session
from models.decision import Decision, decide
from models.registry import SHIPPED, Registry
from models.runner import PackRunner
from models.synthetic import SyntheticChest
from tests.deletion import Comparison, compared, falls

CHEST_TASK = "cxr-pneumonia-paediatric"
_PICTURES = 24


class _Pointing:
    """The same network with its maps moved by half a picture: the same score, and it points elsewhere."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def name(self) -> str:
        """That of the device."""
        return self._session.name

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run, then move the maps."""
        outputs = self._session.run(image)
        moved = [size // 2 for size in outputs["maps"].shape[2:]]
        return outputs | {"maps": np.roll(outputs["maps"], moved, axis=(2, 3))}


@pytest.fixture(scope="module")
def chest_runner() -> PackRunner:
    """The box's chest pack without its gate, which would refuse a picture that is partly covered."""
    shipped = next(pack for pack in Registry([SHIPPED]).packs("box") if pack.manifest.task == CHEST_TASK)
    pack = replace(shipped, manifest=shipped.manifest.model_copy(update={"gate": None}))
    return PackRunner(pack, open_candidate(Candidate("openvino", "CPU"), pack.network, threads=2))


def _on_synthetic_chests(runner: PackRunner) -> Comparison:
    chest, rng = SyntheticChest(), np.random.default_rng(0)
    pictures = [chest.draw(1.0, seed).astype(np.float32) for seed in range(_PICTURES)]
    lines = runner.pack.manifest.thresholds
    shown = [one for one in pictures if decide(runner.read(one).abnormality, lines) is not Decision.routine]
    assert len(shown) >= _PICTURES // 2
    return compared(falls(runner, one, rng) for one in shown)


def test_what_is_hot_matters_more_than_other_places(chest_runner: PackRunner) -> None:
    """On ill synthetic chests, by the median and by the sign test."""
    found = _on_synthetic_chests(chest_runner)
    assert found.hottest > found.random, found
    assert found.p_value < 0.01, found


def test_a_map_that_points_elsewhere_is_found_out(chest_runner: PackRunner) -> None:
    """The check itself can fail: the same scores with the map moved do not pass it."""
    moved = PackRunner(chest_runner.pack, _Pointing(chest_runner._session))
    assert _on_synthetic_chests(moved).p_value > 0.1
