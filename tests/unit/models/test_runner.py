"""A pack on a session: calibrated findings and a heat map in the frame of the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from hardware.onnxruntime_session import open_onnxruntime
from models.calibrated import sigmoid
from models.errors import CannotTriage, PackRejected
from models.pack import ModelPack, load_pack
from models.preprocessing import to_tensor
from models.reasons import Reason
from models.runner import PackRunner
from tests.tiny_pack import (
    CLASSES,
    FINDING,
    MAP_PX,
    OTHER_FINDING,
    change_manifest,
    expected_probabilities,
    expected_probability,
    picture,
    tiny_gate,
    write_tiny_pack,
)


class _Answering:
    """A device that answers what the test wants, or dies."""

    name = "test:CPU"

    def __init__(self, outputs: dict[str, NDArray[np.float32]] | None) -> None:
        self.outputs = outputs

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        if self.outputs is None:
            raise BackendUnavailable("the device is gone")
        return self.outputs


def _maps(value: float = 0.0, count: int = 1) -> NDArray[np.float32]:
    return np.full((1, count, 8, 8), value, dtype=np.float32)


def _logits(value: float = 0.0, count: int = 1) -> NDArray[np.float32]:
    return np.full((1, count), value, dtype=np.float32)


def test_the_probability_is_the_calibrated_logit(tiny_runner: PackRunner) -> None:
    """Temperature and bias are applied, compared with numpy."""
    pixels = picture("urgent").astype(np.float32)
    reading = tiny_runner.read(pixels)
    expected = expected_probability(to_tensor(pixels, tiny_runner.pack.manifest.input))
    assert [finding.name for finding in reading.findings] == [FINDING]
    assert reading.findings[0].probability == pytest.approx(expected, abs=1e-4)
    assert reading.infer_ms > 0


@pytest.mark.parametrize("shape", [(256, 256), (256, 400), (400, 256), (33, 31)])
def test_the_heat_map_lies_on_the_image(tiny_runner: PackRunner, shape: tuple[int, int]) -> None:
    """It has the shape of the image, is hot where the evidence stands out, cold in half of it, 0 outside."""
    reading = tiny_runner.read(picture("urgent", *shape).astype(np.float32))
    heat = reading.heat_map
    rows, columns = shape
    side = min(shape)
    top, left = (rows - side) // 2, (columns - side) // 2
    assert heat.shape == shape
    assert heat.min() >= 0.0
    assert heat.max() == pytest.approx(reading.findings[0].probability, abs=1e-3)
    assert heat[top + side // 8, columns // 2] > 0.5
    inside = heat[top : top + side, left : left + side]
    assert np.mean(inside < 0.5 * heat.max()) > 0.3
    outside = heat.copy()
    outside[top : top + side, left : left + side] = 0
    assert not outside.any()


def test_without_differences_nothing_is_hot(tiny_pack: ModelPack) -> None:
    """The same evidence everywhere is a cold map, whatever the probability."""
    runner = PackRunner(tiny_pack, _Answering({"logits": _logits(5.0), "maps": _maps(5.0)}))
    reading = runner.read(np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64))
    assert reading.findings[0].probability > 0.9
    assert not reading.heat_map.any()


@pytest.mark.parametrize(
    "outputs",
    [
        None,
        {},
        {"logits": _logits()},
        {"logits": _logits(np.nan), "maps": _maps()},
        {"logits": _logits(), "maps": _maps(np.inf)},
        {"logits": _logits(count=2), "maps": _maps(count=2)},
        {"logits": _logits(), "maps": _maps()[0]},
    ],
)
def test_a_failed_run_is_no_score(tiny_pack: ModelPack, outputs: dict[str, NDArray[np.float32]] | None) -> None:
    """Dead device, missing, not finite or misshapen outputs: model_failed."""
    runner = PackRunner(tiny_pack, _Answering(outputs))
    with pytest.raises(CannotTriage) as caught:
        runner.read(picture("routine").astype(np.float32))
    assert caught.value.reason is Reason.model_failed


def test_an_image_of_extreme_values_is_refused(tiny_runner: PackRunner) -> None:
    """What overflows in the normalisation is unreadable, not zero."""
    pixels = picture("urgent").astype(np.float32) * np.float32(8e34) - np.float32(1.6e38)
    pixels[0, 0] = np.inf
    with pytest.raises(CannotTriage) as caught:
        tiny_runner.read(pixels)
    assert caught.value.reason is Reason.unreadable_pixels


def _opened(folder: Path, **options: Any) -> PackRunner:
    """A pack of classes that exclude each other, or what ``options`` make of it, on ONNX Runtime."""
    pack = load_pack(write_tiny_pack(folder, **({"findings": CLASSES, "activation": "softmax"} | options)))
    return PackRunner(pack, open_onnxruntime(pack.network, threads=1))


def _pixels(kind: str) -> NDArray[np.float32]:
    """A picture bright ``above``, ``below``, on the ``left`` or on the ``right``."""
    drawn = picture("urgent" if kind in ("above", "left") else "routine")
    return (drawn if kind in ("above", "below") else drawn.T).astype(np.float32)


@pytest.mark.parametrize("kind", ["above", "below", "left", "right"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_several_findings_are_what_numpy_says(tmp_path: Path, kind: str, activation: str) -> None:
    """Calibrated one by one or together; the normal class is no finding; abnormal is the sum or the highest."""
    runner = _opened(tmp_path, activation=activation)
    reading = runner.read(_pixels(kind))
    expected = expected_probabilities(to_tensor(_pixels(kind), runner.pack.manifest.input), CLASSES, activation)[-2:]
    assert [finding.name for finding in reading.findings] == list(CLASSES)
    assert [finding.probability for finding in reading.findings] == pytest.approx(expected, abs=1e-4)
    together = expected.sum() if activation == "softmax" else expected.max()
    assert reading.abnormality == pytest.approx(together, abs=1e-4)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_decision_rests_on_what_is_acted_on(tmp_path: Path, activation: str) -> None:
    """A probable finding nobody acts on, like a benign lesion, is named and leaves the image harmless."""
    runner = _opened(tmp_path, activation=activation, acts_on=[OTHER_FINDING])
    harmless, harmful = runner.read(_pixels("above")), runner.read(_pixels("left"))
    assert harmless.findings[0].probability > 0.9
    assert harmless.abnormality == harmless.findings[1].probability < 0.6
    assert harmful.abnormality == harmful.findings[1].probability > 0.9


def test_the_heat_map_is_of_the_finding_that_decides(tmp_path: Path) -> None:
    """Of the most probable one when the image is routine; otherwise a harmless one must not stand in front."""
    routine = _opened(tmp_path / "a", acts_on=[OTHER_FINDING], thresholds=(0.5, 0.8)).read(_pixels("above"))
    assert routine.shown == FINDING
    assert routine.heat_map.max() == pytest.approx(routine.findings[0].probability, abs=1e-3)
    decided = _opened(tmp_path / "b", acts_on=[OTHER_FINDING], thresholds=(0.01, 0.05)).read(_pixels("above"))
    assert decided.shown == OTHER_FINDING
    assert decided.heat_map.max() == pytest.approx(decided.findings[1].probability, abs=1e-3)


def test_with_classes_the_heat_map_is_the_evidence_against_normal(tmp_path: Path) -> None:
    """What speaks for a finding and as much for normal is no evidence: only the difference decides, and is drawn."""
    pack = _opened(tmp_path).pack
    maps = _maps(count=3)
    maps[0, :2, :, :4] = 9.0  # as much for normal as for the first finding
    maps[0, 1, :, 4:] = 4.0
    logits = maps.mean(axis=(2, 3))
    reading = PackRunner(pack, _Answering({"logits": logits, "maps": maps})).read(_pixels("above"))
    assert reading.shown == FINDING
    cold, hot = reading.heat_map[:, :96], reading.heat_map[:, 160:]
    assert not cold.any()
    assert hot.min() == pytest.approx(reading.findings[0].probability, abs=1e-3)


def test_probabilities_of_classes_add_up_to_one(tmp_path: Path) -> None:
    """Whatever the logits, and never more than 1 for all findings together."""
    pack = _opened(tmp_path).pack
    for logits in ([80.0, -80.0, 3.0], [-1e30, 1e30, 1e30], [0.0, 0.0, 0.0]):
        outputs = {"logits": np.array([logits], dtype=np.float32), "maps": _maps(count=3)}
        runner = PackRunner(pack, _Answering(outputs))
        inference = runner.infer(to_tensor(_pixels("above"), pack.manifest.input))
        assert inference.probabilities.sum() == pytest.approx(1.0)
        assert 0.0 <= runner.abnormality(inference) <= 1.0


def test_the_gate_refuses_before_anything_is_said(tmp_path: Path) -> None:
    """A picture of another kind gets no finding; one of the intended kind is read as without a gate."""
    gated, open_to_all = _opened(tmp_path / "a", gated=True), _opened(tmp_path / "b")
    assert gated.read(_pixels("left")).findings == open_to_all.read(_pixels("left")).findings
    stripes = np.tile(np.repeat([0.0, 1.0], 32), (256, 4)).astype(np.float32)
    assert open_to_all.read(stripes).findings
    with pytest.raises(CannotTriage, match=r"likeness 0\.0 of -1\.0, distance \d+\.\d of 3\.0") as caught:
        gated.read(stripes)
    assert caught.value.reason is Reason.wrong_picture


@pytest.mark.parametrize(
    "features", [None, np.zeros((1, 3)), np.zeros(MAP_PX**2), np.full((1, MAP_PX**2), np.nan)], ids=str
)
def test_a_gate_that_sees_nothing_is_a_failed_run(tmp_path: Path, features: NDArray[np.float64] | None) -> None:
    """Without sound features nobody knows what kind of picture it is, so nothing is said about it."""
    pack = _opened(tmp_path, gated=True).pack
    outputs = {"logits": _logits(count=3), "maps": _maps(count=3)}
    outputs |= {} if features is None else {"features": features.astype(np.float32)}
    with pytest.raises(CannotTriage) as caught:
        PackRunner(pack, _Answering(outputs)).read(_pixels("above"))
    assert caught.value.reason is Reason.model_failed


def test_an_unusable_gate_is_a_rejected_pack(tmp_path: Path) -> None:
    """The pack does not run without its gate."""
    write_tiny_pack(tmp_path, gated=True)
    replace(tiny_gate(), left_over=np.float32(0.0)).save(tmp_path / "gate.npz")  # type: ignore[arg-type]
    pack = load_pack(change_manifest(tmp_path))
    with pytest.raises(PackRejected, match="gate"):
        PackRunner(pack, _Answering(None))


def test_a_large_image_has_a_small_heat_map(tiny_runner: PackRunner) -> None:
    """A handful of cells needs no millions of pixels; it still lies over the whole image, strips outside included."""
    small = tiny_runner.read(picture("urgent", 256, 400).astype(np.float32)).heat_map
    large = tiny_runner.read(picture("urgent", 1280, 2000).astype(np.float32)).heat_map
    assert large.shape == (256, 400)
    assert not large[:, :72].any()
    assert not large[:, 328:].any()
    assert np.abs(large - small).max() < 0.02


def test_sigmoid_does_not_overflow() -> None:
    """Exact at 0, saturated far out, no warning."""
    assert sigmoid(np.array([-1e9, 0.0, 1e9])).tolist() == [0.0, 0.5, 1.0]
