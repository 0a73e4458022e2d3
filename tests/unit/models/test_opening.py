"""The fastest device that gives the right answers, and its memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hardware.choice import Candidate
from hardware.errors import BackendUnavailable
from models.opening import open_runner
from models.pack import load_pack
from tests.tiny_pack import change_manifest, picture, write_tiny_pack

ORT = Candidate("onnxruntime", "CPU")
NOWHERE = Candidate("openvino", "NO_SUCH_DEVICE")


def test_the_fastest_wins_and_reads(tmp_path: Path) -> None:
    """Every installed backend is measured, the winner has the lowest median."""
    opened = open_runner(load_pack(write_tiny_pack(tmp_path)), threads=1)
    best = min(opened.measurements, key=lambda one: one.latency_ms_median)
    assert opened.runner.device == best.candidate.name
    assert {one.candidate.name for one in opened.measurements} >= {"onnxruntime:CPU", "openvino:CPU"}
    assert opened.fell_back == []
    assert opened.runner.read(picture("urgent").astype(np.float32)).findings[0].probability > 0.8


def test_a_missing_device_is_recorded(tmp_path: Path) -> None:
    """The fall-back is told, not hidden."""
    opened = open_runner(load_pack(write_tiny_pack(tmp_path)), among=[NOWHERE, ORT])
    assert opened.runner.device == "onnxruntime:CPU"
    assert len(opened.fell_back) == 1
    assert opened.fell_back[0].startswith("openvino:NO_SUCH_DEVICE: ")


def test_nothing_that_agrees_is_no_backend(tmp_path: Path) -> None:
    """A network that is not the one of the golden set, and no candidates at all."""
    write_tiny_pack(tmp_path, golden_tolerance=1e-9)
    with pytest.raises(BackendUnavailable, match="differs from the golden set"):
        open_runner(load_pack(tmp_path), among=[ORT])
    with pytest.raises(BackendUnavailable, match="no backend is installed"):
        open_runner(load_pack(tmp_path), among=[])


def test_the_choice_is_remembered(tmp_path: Path) -> None:
    """The second opening measures nothing: it gives back the very numbers of the first."""
    pack, cache = load_pack(write_tiny_pack(tmp_path / "pack")), tmp_path / "state" / "devices.json"
    first = open_runner(pack, cache, among=[NOWHERE, ORT])
    second = open_runner(pack, cache, among=[NOWHERE, ORT])
    assert second.measurements == first.measurements
    assert second.fell_back == first.fell_back


def test_another_pack_is_measured_anew(tmp_path: Path) -> None:
    """The memory is bound to the pack's digest; the older entry stays."""
    folder, cache = write_tiny_pack(tmp_path / "pack"), tmp_path / "devices.json"
    open_runner(load_pack(folder), cache, among=[ORT])
    open_runner(load_pack(change_manifest(folder, version="1.0.1")), cache, among=[ORT])
    assert len(json.loads(cache.read_text())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, content: str) -> None:
    """It is measured again and written anew."""
    pack, cache = load_pack(write_tiny_pack(tmp_path / "pack")), tmp_path / "devices.json"
    cache.write_text(content)
    opened = open_runner(pack, cache, among=[ORT])
    assert len(opened.measurements) == 1
    assert opened.runner.device in cache.read_text()


@pytest.mark.parametrize("damage", [{"measurements": [{"rounds": 1}]}, {"chosen": "openvino:LOST"}])
def test_a_remembered_device_that_is_nonsense_is_not_trusted(tmp_path: Path, damage: dict[str, object]) -> None:
    """An entry under the right key with wrong content leads to a new measurement."""
    pack, cache = load_pack(write_tiny_pack(tmp_path / "pack")), tmp_path / "devices.json"
    open_runner(pack, cache, among=[ORT])
    ((key, entry),) = json.loads(cache.read_text()).items()
    cache.write_text(json.dumps({key: entry | damage}))
    assert open_runner(pack, cache, among=[ORT]).runner.device == "onnxruntime:CPU"
    assert json.loads(cache.read_text())[key]["chosen"] == "onnxruntime:CPU"
