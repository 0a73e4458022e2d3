"""A pack on a session: calibrated findings and a heat map in the frame of the image."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hardware.errors import BackendUnavailable
from models.errors import CannotTriage
from models.pack import ModelPack
from models.preprocessing import to_tensor
from models.reasons import Reason
from models.runner import PackRunner, sigmoid
from tests.tiny_pack import FINDING, expected_probability, picture


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


def test_sigmoid_does_not_overflow() -> None:
    """Exact at 0, saturated far out, no warning."""
    assert sigmoid(np.array([-1e9, 0.0, 1e9])).tolist() == [0.0, 0.5, 1.0]
