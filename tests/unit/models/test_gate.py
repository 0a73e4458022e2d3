"""The gate: pictures of the intended kind pass, others are refused in numbers, and a broken gate is no gate."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from models.errors import PackRejected
from models.gate import Gate, load_gate
from tests.tiny_pack import MAP_PX, tiny_gate

FALL = np.repeat(np.linspace(1.0, -1.0, MAP_PX, dtype=np.float32), MAP_PX)
CHEQUERED = np.where(np.indices((MAP_PX, MAP_PX)).sum(axis=0) % 2, 1.0, -1.0).astype(np.float32).ravel()


def _number(value: float) -> NDArray[np.float32]:
    return np.array(value, dtype=np.float32)


def test_the_intended_kind_passes_and_another_does_not() -> None:
    """A kind that nobody showed to the gate is far away; the refusal gives both numbers and their lines."""
    gate = tiny_gate()
    assert gate.refusal(FALL) is None
    assert gate.refusal(-0.3 * FALL) is None
    assert gate.refusal(CHEQUERED) == "likeness 0.0 of -1.0, distance 32.0 of 3.0"


def test_both_questions_must_be_answered_with_yes() -> None:
    """Likeness alone refuses what distance would let in; each line itself still passes."""
    gate = replace(tiny_gate(), weight=FALL, least=_number(1.0))
    assert gate.refusal(FALL) is None
    assert gate.refusal(-FALL) is not None
    likeness = gate.likeness(FALL[None])[0]
    assert replace(gate, least=_number(likeness)).refusal(FALL) is None
    assert replace(gate, least=_number(np.nextafter(likeness, np.float32(np.inf)))).refusal(FALL) is not None
    distance = gate.distance(FALL[None])[0]
    assert replace(gate, farthest=_number(distance)).refusal(FALL) is None
    assert replace(gate, farthest=_number(np.nextafter(distance, np.float32(0)))).refusal(FALL) is not None


def test_distance_counts_what_lies_along_and_outside_of_the_axes() -> None:
    """By hand: one unit along an axis of variance 20, and one outside."""
    gate = tiny_gate()
    along = gate.axes[0]
    outside = CHEQUERED / np.linalg.norm(CHEQUERED)
    found = gate.distance(np.stack([along, outside, along + outside]))
    assert found == pytest.approx([1 / 20 / 2 / 2, 0.5, 1 / 20 / 2 / 2 + 0.5], abs=1e-5)


def test_one_extreme_feature_is_cut() -> None:
    """A single wild number counts as ten spreads, not as a thousand."""
    gate = tiny_gate()
    wild, cut = FALL.copy(), FALL.copy()
    wild[5], cut[5] = 1e6, 10.0
    assert gate.distance(wild[None]) == gate.distance(cut[None])


@given(arrays(np.float32, MAP_PX**2, elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_any_finite_features_get_an_answer(features: NDArray[np.float32]) -> None:
    """Finite in, finite out, and no negative distance."""
    gate = tiny_gate()
    assert np.isfinite(gate.likeness(features[None])).all()
    assert gate.distance(features[None])[0] >= 0.0
    gate.refusal(features)


def test_a_gate_survives_its_file(tmp_path: Path) -> None:
    """Everything is kept; the axes to half precision."""
    gate = tiny_gate()
    gate.save(tmp_path / "gate.npz")
    again = load_gate(tmp_path / "gate.npz", "tiny")
    for field in fields(Gate):
        kept, found = getattr(gate, field.name), getattr(again, field.name)
        assert found.dtype == np.float32
        assert found == pytest.approx(kept, abs=1e-3 if field.name == "axes" else 0.0)


@pytest.mark.parametrize(
    "broken",
    [
        {"centre": np.zeros(3, dtype=np.float32)},
        {"weight": np.zeros((MAP_PX**2, 1), dtype=np.float32)},
        {"axes": np.zeros((3, MAP_PX**2), dtype=np.float32)},
        {"variance": np.ones((2, 1), dtype=np.float32)},
        {"variance": _number(1.0), "axes": np.zeros(MAP_PX**2, dtype=np.float32)},
        {"variance": np.array([1.0, 0.0], dtype=np.float32)},
        {"spread": np.zeros(MAP_PX**2, dtype=np.float32)},
        {"left_over": _number(0.0)},
        {"least": _number(np.nan)},
        {"farthest": _number(np.inf)},
        {"offset": np.zeros(2, dtype=np.float32)},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_numbers_that_do_not_fit_are_rejected(tmp_path: Path, broken: dict[str, NDArray[np.float32]]) -> None:
    """NaN compares false with every line and would let everything in or nothing; neither is a gate."""
    replace(tiny_gate(), **broken).save(tmp_path / "gate.npz")
    with pytest.raises(PackRejected, match="do not fit each other"):
        load_gate(tmp_path / "gate.npz", "tiny")


@pytest.mark.parametrize(
    "kind", ["missing", "no archive", "one array", "torn", "flipped", "a part is missing", "objects"]
)
def test_a_file_that_is_no_gate_is_rejected(tmp_path: Path, kind: str) -> None:
    """With the pack's name and what to do, whatever lies there."""
    path = tmp_path / "gate.npz"
    tiny_gate().save(path)
    whole = path.read_bytes()
    if kind == "missing":
        path.unlink()
    elif kind == "no archive":
        path.write_bytes(b"no archive")
    elif kind == "one array":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif kind == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "flipped":
        path.write_bytes(whole[:200] + bytes(byte ^ 0xFF for byte in whole[200:260]) + whole[260:])
    elif kind == "a part is missing":
        np.savez(path, centre=np.zeros(3))
    else:
        objects: dict[str, Any] = {field.name: np.array([None], dtype=object) for field in fields(Gate)}
        np.savez(path, **objects)
    with pytest.raises(PackRejected, match="cannot be read") as caught:
        load_gate(path, "tiny")
    assert caught.value.pack == "tiny"
    assert caught.value.repair
