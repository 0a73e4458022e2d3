"""Candidates and their measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hardware.choice import (
    Candidate,
    backend_versions,
    candidate_of,
    candidates,
    measure,
    open_candidate,
)
from hardware.errors import BackendUnavailable
from tests.tiny_pack import SIZE_PX, tiny_network


class _Counting:
    """A device that counts its runs."""

    name = "openvino:CPU"

    def __init__(self) -> None:
        self.runs = 0

    def run(
        self, image: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    ) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        self.runs += 1
        return {}


def test_every_candidate_here_opens_and_measures(tmp_path: Path) -> None:
    """The list holds only what works on this machine's CPU, at least both backends."""
    network = tmp_path / "tiny.onnx"
    network.write_bytes(tiny_network())
    image = np.zeros((1, 1, SIZE_PX, SIZE_PX), np.float32)
    found = [one for one in candidates() if one.device == "CPU"]
    assert {one.backend for one in found} == {"openvino", "onnxruntime"}
    for candidate in found:
        measured = measure(open_candidate(candidate, network, threads=1), image, rounds=3, warmup=1)
        assert measured.candidate == candidate
        assert 0 < measured.latency_ms_median <= measured.latency_ms_p95


def test_warm_up_runs_do_not_count() -> None:
    """They are run, but not among the rounds."""
    session = _Counting()
    measured = measure(session, np.zeros((1, 1, 2, 2), np.float32), rounds=4, warmup=2)
    assert session.runs == 6
    assert measured.rounds == 4


def test_no_rounds_is_wrong_use() -> None:
    """There is no median of nothing."""
    with pytest.raises(ValueError, match="rounds"):
        measure(_Counting(), np.zeros((1, 1, 2, 2), np.float32), rounds=0)


def test_onnx_runtime_is_for_the_cpu(tmp_path: Path) -> None:
    """A remembered candidate of another kind is unavailable, not silently the CPU."""
    with pytest.raises(BackendUnavailable, match="CPU only"):
        open_candidate(Candidate("onnxruntime", "GPU"), tmp_path / "x.onnx")


def test_names_lead_back_to_candidates() -> None:
    """And foreign names do not."""
    assert candidate_of("openvino:GPU.1") == Candidate("openvino", "GPU.1")
    assert candidate_of("onnxruntime:CPU").name == "onnxruntime:CPU"
    for name in ("tensorrt:0", "openvino", ""):
        with pytest.raises(ValueError, match="backend:device"):
            candidate_of(name)


def test_both_versions_are_known() -> None:
    """They are part of the key under which a choice is remembered."""
    assert set(backend_versions()) == {"openvino", "onnxruntime"}
