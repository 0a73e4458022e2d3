"""The deletion test on real images, for every box pack that real images are there for."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from _pytest.mark import ParameterSet

from hardware.choice import Candidate, open_candidate
from models.decision import Decision, decide
from models.errors import CannotTriage
from models.pack import ModelPack
from models.preprocessing import FloatImage
from models.registry import SHIPPED, Registry
from models.runner import PackRunner
from tests.deletion import compared, falls

_COUNT = 400
_FOLDERS = {
    "cxr-pneumonia-paediatric": "cxr_paediatric",
    "brain-mr-tumour": "brain_mr",
    "breast-us-lesion": "breast_us",
}
PACKS = [pack for pack in Registry([SHIPPED]).packs("box") if pack.manifest.task in _FOLDERS]


def _given(pack: ModelPack) -> ParameterSet:
    """A pack whose manifest claims no proof must fail: else the claim is due."""
    marks = [] if pack.manifest.heat_map_proven else [pytest.mark.xfail(strict=True, reason="see its card")]
    return pytest.param(pack, id=str(pack.manifest.name), marks=marks)


def _abnormal(folder: Path, pack: ModelPack) -> list[FloatImage]:
    """Every n-th picture labelled as something the pack acts on, about four hundred of them or all."""
    with folder.with_suffix(".csv").open(newline="", encoding="utf-8") as lines:
        names = [row["file"] for row in csv.DictReader(lines) if row["label"] in pack.manifest.acts_on]
    chosen = names[:: max(1, len(names) // _COUNT)][:_COUNT]
    pictures = [cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE) for name in chosen]
    return [picture.astype(np.float32) for picture in pictures if picture is not None]


def _is_shown(runner: PackRunner, picture: FloatImage) -> bool:
    try:
        return decide(runner.read(picture).abnormality, runner.pack.manifest.thresholds) is not Decision.routine
    except CannotTriage:
        return False


@pytest.mark.real
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pack", [_given(pack) for pack in PACKS])
def test_what_is_hot_matters_more_than_other_places(
    real_images: Path, pack: ModelPack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Covering the hottest fifth lowers the score more than covering as much elsewhere; the figures are printed."""
    runner = PackRunner(pack, open_candidate(Candidate("openvino", "CPU"), pack.network, threads=2))
    pictures = _abnormal(real_images / _FOLDERS[pack.manifest.task], pack)
    rng = np.random.default_rng(0)
    found = compared(falls(runner, picture, rng) for picture in pictures if _is_shown(runner, picture))
    with capsys.disabled():
        sys.stdout.write(f"\n{pack.manifest.name} {pack.manifest.version}: {found}\n")
    assert found.images >= _COUNT // 4
    assert found.hottest > found.random
    assert found.p_value < 0.01
