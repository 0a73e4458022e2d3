"""The packs that come with the product: whole, small, and the same on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.demo.studies import CHESTS
from hardware.choice import Candidate, open_candidate
from models.decision import Decision, decide
from models.pack import ModelPack
from models.registry import SHIPPED, Registry
from models.runner import PackRunner
from models.synthetic import SyntheticChest

_BACKENDS = (Candidate("openvino", "CPU"), Candidate("onnxruntime", "CPU"))
PACKS = [*Registry([SHIPPED]).packs("box"), *Registry([SHIPPED]).packs("cloud")]


def test_both_roles_are_shipped_and_none_is_refused() -> None:
    """A pack for the box, one of the same task for the cloud, nothing altered."""
    registry = Registry([SHIPPED])
    assert registry.rejected == []
    tasks = [{pack.manifest.task for pack in registry.packs(role)} for role in ("box", "cloud")]
    assert tasks[0] == tasks[1] == {"cxr-pneumonia-paediatric"}


def test_sizes() -> None:
    """A box pack is INT8 and at most 10 MB; all together stay under 40 MB."""
    sizes = {pack.manifest.name: sum(path.stat().st_size for path in pack.folder.iterdir()) for pack in PACKS}
    assert sum(sizes.values()) < 40_000_000
    for pack in PACKS:
        if pack.manifest.role == "box":
            assert pack.manifest.precision == "int8"
            assert sizes[pack.manifest.name] <= 10_000_000


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: str(pack.manifest.name))
def test_every_backend_finds_the_same(pack: ModelPack) -> None:
    """OpenVINO and ONNX Runtime: the same decision on every demonstration chest, probabilities within tolerance."""
    runners = [PackRunner(pack, open_candidate(candidate, pack.network)) for candidate in _BACKENDS]
    chest = SyntheticChest()
    for disease, seed in CHESTS:
        pixels = chest.draw(disease, seed).astype(np.float32)
        found = [runner.read(pixels).findings for runner in runners]
        values = [findings[0].probability for findings in found]
        assert abs(values[0] - values[1]) <= pack.manifest.golden_tolerance
        assert len({decide(findings, pack.manifest.thresholds) for findings in found}) == 1


def test_the_box_pack_is_sure_of_some_and_unsure_of_others() -> None:
    """The demonstration chests lead to every decision the pack can take."""
    pack = Registry([SHIPPED]).packs("box")[0]
    runner = PackRunner(pack, open_candidate(_BACKENDS[0], pack.network))
    chest = SyntheticChest()
    pictures = [chest.draw(disease, seed).astype(np.float32) for disease, seed in CHESTS]
    decisions = {decide(runner.read(pixels).findings, pack.manifest.thresholds) for pixels in pictures}
    assert decisions == {Decision.routine, Decision.urgent, Decision.escalate}
