"""A gate fitted on drawn pictures: held-out ones pass, also changed mildly; spoiled ones and patterns do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from models.gate import Gate, load_gate
from models.preprocessing import InputSpec
from models.recipes.adoption import GivenInput, adopt
from models.recipes.gate_fitting import MILD, SPOILED, Pictures, changed, fit_gate, refused_share
from models.recipes.scoring import score
from tests.given_networks import KINDS, SIZE_PX, Form, classifier, drawn

SPEC = InputSpec(size_px=SIZE_PX, low_pass_sigma_px=0.0, low_percentile=0.0, high_percentile=100.0)
Seen = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _pictures(start: int, count: int) -> NDArray[np.uint8]:
    return np.stack([drawn(KINDS[seed % 3], seed, SIZE_PX) for seed in range(start, start + count)])


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What the small network sees in pictures."""
    folder = tmp_path_factory.mktemp("network")
    onnx.save(classifier(Form()), folder / "given.onnx")
    adopt(folder / "given.onnx", GivenInput(SIZE_PX), (0, 1), folder / "adopted.onnx")
    return lambda pixels: score(folder / "adopted.onnx", pixels, SPEC, "seen").features


@pytest.fixture(scope="module")
def gate(seen: Seen) -> Gate:
    """Fitted as a recipe does."""
    train, held = _pictures(0, 240), _pictures(1000, 200)
    intended = np.concatenate([seen(train), seen(changed(train, MILD, 1))])
    others = np.concatenate([seen(changed(train[:80], {name: spoil}, 2)) for name, spoil in SPOILED.items()])
    return fit_gate(Pictures(intended, others), np.concatenate([seen(held), seen(changed(held, MILD, 4))]))


def test_what_has_to_pass(gate: Gate, seen: Seen) -> None:
    """Pictures of the kind that neither fitted the gate nor set its lines, and mildly changed ones."""
    held = _pictures(5000, 300)
    assert refused_share(gate, seen(held)) <= 0.03
    assert refused_share(gate, seen(changed(held, MILD, 9))) <= 0.05


@pytest.mark.parametrize("name", SPOILED)
def test_what_has_to_be_refused(gate: Gate, seen: Seen, name: str) -> None:
    """Each way to spoil a picture, on pictures the gate has not seen."""
    spoiled = changed(_pictures(6000, 90), {name: SPOILED[name]}, 7)
    assert refused_share(gate, seen(spoiled)) >= 0.8


def test_a_kind_nobody_showed(gate: Gate, seen: Seen) -> None:
    """White stripes on black are far from everything the gate knows."""
    rows = np.arange(SIZE_PX)
    stripes = np.stack([np.tile(((rows // step) % 2 * 255).astype(np.uint8), (SIZE_PX, 1)) for step in (1, 2, 4)])
    assert refused_share(gate, seen(stripes)) == 1.0


@pytest.mark.parametrize("width", [2, 8, 40, 300])
def test_any_number_of_features(width: int, tmp_path: Path) -> None:
    """Networks with few features get a gate with fewer axes, which can be stored and read again."""
    rng = np.random.default_rng(0)
    intended, others = rng.normal(0, 1, (150, width)), rng.normal(4, 1, (60, width))
    own = fit_gate(Pictures(intended.astype(np.float32), others.astype(np.float32)), intended.astype(np.float32))
    assert refused_share(own, intended.astype(np.float32)) <= 0.02
    assert refused_share(own, others.astype(np.float32)) >= 0.9
    own.save(tmp_path / "gate.npz")
    load_gate(tmp_path / "gate.npz", "pack")


@pytest.mark.parametrize("size_px", [32, 65, 299])
@pytest.mark.parametrize("name", [*SPOILED, *MILD])
def test_changes_keep_the_size(size_px: int, name: str) -> None:
    """Also of odd sizes, and the same seed gives the same picture."""
    pixels = _pictures(0, 2)
    resized = np.stack([drawn("normal", seed, size_px) for seed in range(2)])
    change = (SPOILED | MILD)[name]
    once, again = (changed(resized, {name: change}, 5) for _ in range(2))
    assert once.shape == resized.shape
    assert once.dtype == np.uint8
    np.testing.assert_array_equal(once, again)
    assert changed(pixels, SPOILED, 1).shape == pixels.shape
