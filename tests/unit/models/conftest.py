"""A tiny pack, opened once for all tests of the models."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardware.onnxruntime_session import open_onnxruntime
from models.pack import ModelPack, load_pack
from models.runner import PackRunner
from tests.tiny_pack import write_tiny_pack


@pytest.fixture(scope="session")
def tiny_pack(tmp_path_factory: pytest.TempPathFactory) -> ModelPack:
    """The tiny pack on disk, verified."""
    return load_pack(write_tiny_pack(tmp_path_factory.mktemp("packs") / "tiny"))


@pytest.fixture(scope="session")
def tiny_runner(tiny_pack: ModelPack) -> PackRunner:
    """The tiny pack on ONNX Runtime."""
    return PackRunner(tiny_pack, open_onnxruntime(Path(tiny_pack.network), threads=1))
