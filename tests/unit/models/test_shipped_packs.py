"""The packs that come with the product: whole, small, and the same on every backend."""

from __future__ import annotations

import re

import numpy as np
import pytest

from appliance.demo.studies import CHESTS
from hardware.choice import Candidate, open_candidate
from models.decision import Decision, decide
from models.errors import CannotTriage
from models.golden import check_golden, load_golden
from models.pack import ModelPack
from models.reasons import Reason
from models.registry import SHIPPED, Registry
from models.runner import PackRunner
from models.synthetic import SyntheticChest, breast_scan, ct_slice, hand, head_slice

_BACKENDS = (Candidate("openvino", "CPU"), Candidate("onnxruntime", "CPU"))
CHEST_PACK = "cxr-pneumonia-paediatric"
PACKS = [*Registry([SHIPPED]).packs("box"), *Registry([SHIPPED]).packs("cloud")]


def test_both_roles_are_shipped_and_none_is_refused() -> None:
    """For every task a pack for the box and one for the cloud, nothing altered."""
    registry = Registry([SHIPPED])
    assert registry.rejected == []
    tasks = [{pack.manifest.task for pack in registry.packs(role)} for role in ("box", "cloud")]
    assert tasks[0] == tasks[1]
    assert CHEST_PACK in tasks[0]


def test_sizes() -> None:
    """A box pack is INT8 and at most 10 MB; all together stay under 40 MB."""
    sizes = {pack.manifest.name: sum(path.stat().st_size for path in pack.folder.iterdir()) for pack in PACKS}
    assert sum(sizes.values()) < 40_000_000
    for pack in PACKS:
        if pack.manifest.role == "box":
            assert pack.manifest.precision == "int8"
            assert sizes[pack.manifest.name] <= 10_000_000


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: str(pack.manifest.name))
def test_no_traces_of_where_it_was_made(pack: ModelPack) -> None:
    """No path of the machine that built it."""
    assert not re.search(rb"/(home|root|tmp|work|usr)/|site-packages", pack.network.read_bytes())


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: str(pack.manifest.name))
def test_every_backend_finds_the_same(pack: ModelPack) -> None:
    """OpenVINO and ONNX Runtime on the golden set: probabilities within tolerance of what they were made with."""
    golden = load_golden(pack)
    for candidate in _BACKENDS:
        check_golden(PackRunner(pack, open_candidate(candidate, pack.network)), golden)


def test_every_backend_decides_the_same_and_every_decision_is_there() -> None:
    """The demonstration chests lead to all that the chest pack can decide, on OpenVINO as on ONNX Runtime."""
    pack = next(pack for pack in PACKS if pack.manifest.name == CHEST_PACK)
    chest = SyntheticChest()
    pictures = [chest.draw(disease, seed).astype(np.float32) for disease, seed in CHESTS]
    decided = []
    for candidate in _BACKENDS:
        runner = PackRunner(pack, open_candidate(candidate, pack.network))
        decided.append([decide(runner.read(pixels).abnormality, pack.manifest.thresholds) for pixels in pictures])
    assert decided[0] == decided[1]
    assert set(decided[0]) == {Decision.routine, Decision.urgent, Decision.escalate}


@pytest.mark.parametrize("candidate", _BACKENDS, ids=lambda candidate: str(candidate.name))
def test_the_gate_refuses_what_only_the_header_calls_a_chest(candidate: Candidate) -> None:
    """A hand, a CT slice, a head, a breast scan, noise, and a chest inverted, upside down or lying on its side."""
    pack = next(pack for pack in PACKS if pack.manifest.name == CHEST_PACK)
    runner = PackRunner(pack, open_candidate(candidate, pack.network))
    chest = SyntheticChest().draw(*CHESTS[0]).astype(np.float32)
    noise = np.random.default_rng(0).random((300, 300)).astype(np.float32)
    others = [hand(), ct_slice(), head_slice(0.5, 1), breast_scan(0.5, 1), noise, 4095 - chest, chest[::-1], chest.T]
    for picture in others:
        with pytest.raises(CannotTriage) as refused:
            runner.read(np.ascontiguousarray(picture, dtype=np.float32))
        assert refused.value.reason is Reason.wrong_picture
