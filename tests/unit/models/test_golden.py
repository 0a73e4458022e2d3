"""The golden set catches a backend that answers wrongly."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hardware.errors import BackendUnavailable
from hardware.onnxruntime_session import open_onnxruntime
from models.errors import PackRejected
from models.golden import GoldenSet, check_golden, load_golden
from models.pack import load_pack
from models.runner import PackRunner
from tests.tiny_pack import GAIN, change_manifest, expected_probabilities, tiny_gate, tiny_network, write_tiny_pack


def _npz(**arrays: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _runner(folder: Path) -> PackRunner:
    pack = load_pack(folder)
    return PackRunner(pack, open_onnxruntime(pack.network))


def test_a_right_backend_agrees(tiny_runner: PackRunner) -> None:
    """The difference is rounding."""
    assert check_golden(tiny_runner, load_golden(tiny_runner.pack)) < 1e-4


def test_a_wrong_backend_is_unavailable(tmp_path: Path) -> None:
    """A network with half the gain runs without complaint, and only the golden set tells."""
    pack = load_pack(write_tiny_pack(tmp_path / "pack"))
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(tiny_network(GAIN / 2))
    runner = PackRunner(pack, open_onnxruntime(wrong))
    with pytest.raises(BackendUnavailable, match="differs from the golden set"):
        check_golden(runner, load_golden(pack))


@pytest.mark.parametrize(("change", "words"), [({"least": 1e6}, "refuses"), ({"farthest": 1e6}, "lets through")])
def test_a_gate_that_answers_otherwise_makes_the_backend_unavailable(
    tmp_path: Path, change: dict[str, float], words: str
) -> None:
    """A backend whose features are wrong must not let every picture through, nor refuse all of them."""
    folder = write_tiny_pack(tmp_path / "pack", gated=True)
    golden = load_golden(load_pack(folder))
    assert check_golden(_runner(folder), golden) < 1e-4
    replace(tiny_gate(), **{name: np.array(value, np.float32) for name, value in change.items()}).save(
        folder / "gate.npz"
    )
    images, passed = golden.images.copy(), golden.passed.copy()
    images[-1], passed[-1] = np.random.default_rng(0).uniform(-1, 1, images[-1].shape), False
    given = GoldenSet(images, np.stack([expected_probabilities(image[None]) for image in images]), passed)
    with pytest.raises(BackendUnavailable, match=f"the gate {words} picture"):
        check_golden(_runner(change_manifest(folder)), given)


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip",
        b"PK\x03\x04 torn",
        _npz(image=np.zeros((1, 1, 64, 64), np.float32)),
        *(
            _npz(
                image=np.zeros((images, 1, side, side), np.float32),
                probability=np.zeros((images, classes), np.float32),
                passed=np.ones(passed, np.float32),
            )
            for images, side, classes, passed in ((0, 64, 1, 0), (1, 32, 1, 1), (1, 64, 2, 1), (1, 64, 1, 2))
        ),
    ],
)
def test_an_unusable_golden_set_rejects_the_pack(tmp_path: Path, content: bytes) -> None:
    """Unreadable, empty, or made for another input."""
    write_tiny_pack(tmp_path)
    (tmp_path / "golden.npz").write_bytes(content)
    with pytest.raises(PackRejected, match="golden set"):
        load_golden(load_pack(change_manifest(tmp_path)))


@pytest.mark.parametrize("kind", ["one array", "flipped"])
def test_a_file_that_is_no_golden_set_is_rejected(tmp_path: Path, kind: str) -> None:
    """An array that is no archive, and a compressed one whose bytes are damaged."""
    pack = load_pack(write_tiny_pack(tmp_path))
    with pack.golden.open("wb") as stream:
        if kind == "one array":
            np.save(stream, np.zeros(3))
        else:
            np.savez_compressed(stream, image=np.random.default_rng(0).random((9, 9)))
    whole = pack.golden.read_bytes()
    if kind == "flipped":
        pack.golden.write_bytes(whole[:200] + bytes(byte ^ 0xFF for byte in whole[200:260]) + whole[260:])
    with pytest.raises(PackRejected, match="cannot be read"):
        load_golden(pack)
