"""The head: features as bytes and back to an answer; a broken head is no head."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hardware.onnxruntime_session import open_onnxruntime
from models.errors import CannotTriage, PackRejected
from models.head import Head, load_head
from models.head_reader import HeadReader
from models.pack import load_pack
from models.runner import PackRunner
from tests.tiny_pack import CLASSES, MAP_PX, picture, tiny_head, write_tiny_pack


def test_features_become_bytes_within_half_a_step() -> None:
    """What lies outside the range is cut; inside, a byte is the nearest level."""
    head = tiny_head()
    features = np.linspace(-1.5, 1.5, MAP_PX**2).astype(np.float32)
    reduced = head.reduced(features)
    back = reduced * head.step + head.low
    inside = np.abs(features) <= 1.0
    assert np.abs(back - features)[inside].max() <= head.step.max() / 2 + 1e-6
    assert (reduced[0], reduced[-1]) == (0, 255)


@pytest.mark.parametrize(("findings", "activation"), [(("bright_above",), "sigmoid"), (CLASSES, "softmax")])
def test_the_head_says_what_the_network_says(tmp_path: Path, findings: tuple[str, ...], activation: str) -> None:
    """A head that is the network's own last layer agrees with it, as far as a byte for each feature allows."""
    folder = write_tiny_pack(tmp_path / "tiny", findings=findings, activation=activation, headed=True)
    pack = load_pack(folder)
    runner, reader = PackRunner(pack, open_onnxruntime(pack.network, threads=1)), HeadReader(pack)
    for says in ("urgent", "routine", "escalate"):
        reading = runner.read(picture(says).astype(np.float32))
        assert reading.reduced is not None
        result = reader.read(reading.reduced, "1.2")
        assert result.abnormality == pytest.approx(reading.abnormality, abs=0.02)
        assert [one.name for one in result.findings] == list(findings)
        assert result.pack == pack.identity


def test_a_pack_without_a_head_is_as_valid_as_before(tmp_path: Path) -> None:
    """It gives no reduced features, and nobody can read with a head it does not have."""
    pack = load_pack(write_tiny_pack(tmp_path / "tiny", gated=True))
    assert (
        PackRunner(pack, open_onnxruntime(pack.network, threads=1)).read(picture("routine").astype(np.float32)).reduced
        is None
    )
    with pytest.raises(PackRejected, match="no head"):
        HeadReader(pack)


def test_another_number_of_features_is_not_read(tmp_path: Path) -> None:
    """Too few or too many bytes are of another pack."""
    reader = HeadReader(load_pack(write_tiny_pack(tmp_path / "tiny", headed=True)))
    with pytest.raises(CannotTriage, match="63 features came, the head takes 64"):
        reader.read(b"\0" * 63, "1.2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": np.zeros(MAP_PX**2, np.float32)},
        {"offset": np.array([np.nan], np.float32)},
        {"low": np.zeros(3, np.float32)},
        {"weight": np.zeros((MAP_PX**2, 2), np.float32)},
    ],
)
def test_a_head_whose_numbers_do_not_fit_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    """A step of zero, a number that is none, parts of different lengths, another number of outputs."""
    replace(tiny_head(), **wrong).save(tmp_path / "head.npz")
    with pytest.raises(PackRejected, match="do not fit"):
        load_head(tmp_path / "head.npz", "tiny", 1)


def test_a_head_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Cut off, or without one of its parts."""
    path = tmp_path / "head.npz"
    tiny_head().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackRejected, match="cannot be read"):
        load_head(path, "tiny", 1)
    parts = {field.name: getattr(tiny_head(), field.name) for field in fields(Head)}
    np.savez(path, allow_pickle=False, **{name: part for name, part in parts.items() if name != "step"})
    with pytest.raises(PackRejected, match="cannot be read"):
        load_head(path, "tiny", 1)


def test_a_manifest_with_a_head_needs_the_gate(tmp_path: Path) -> None:
    """The features come with the gate, so a head without one could never be fed."""
    folder = write_tiny_pack(tmp_path / "tiny", headed=True)
    manifest = load_pack(folder).manifest
    with pytest.raises(ValidationError, match="a head needs a gate"):
        type(manifest).model_validate(manifest.model_dump(mode="json") | {"gate": None})
