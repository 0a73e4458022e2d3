"""Both backends: the same network, the same answers, the same way to fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hardware.errors import BackendUnavailable
from hardware.onnxruntime_session import onnxruntime_version, open_onnxruntime
from hardware.openvino_session import open_openvino, openvino_devices, openvino_version
from hardware.session import Session
from tests.tiny_pack import GAIN, MAP_PX, SIZE_PX, tiny_network

Opening = Callable[[Path], Session]
BOTH = pytest.mark.parametrize("opening", [open_openvino, open_onnxruntime])


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """The tiny network as a file."""
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_network())
    return path


def _image(upper: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    image = np.zeros((1, 1, SIZE_PX, SIZE_PX), np.float32)
    image[:, :, : SIZE_PX // 2] = upper
    return image


@BOTH
def test_outputs_by_name_and_right(network: Path, opening: Opening) -> None:
    """Logit and map of a picture whose upper half is 1."""
    outputs = opening(network).run(_image(1.0))
    assert {"logits", "maps"} <= set(outputs)
    assert outputs["logits"].dtype == np.float32
    assert outputs["logits"].tolist() == [[pytest.approx(GAIN / 2, rel=1e-5)]]
    assert outputs["maps"].shape == (1, 1, MAP_PX, MAP_PX)


@BOTH
def test_a_later_run_does_not_change_earlier_outputs(network: Path, opening: Opening) -> None:
    """The arrays are the caller's own, not the device's buffer."""
    session = opening(network)
    first = session.run(_image(1.0))["maps"]
    session.run(_image(-1.0))
    assert first.max() == pytest.approx(GAIN, rel=1e-5)


@BOTH
@pytest.mark.parametrize("content", [b"", b"no network at all", None])
def test_what_does_not_load(tmp_path: Path, opening: Opening, content: bytes | None) -> None:
    """Empty, nonsense and missing files, with the cause attached."""
    path = tmp_path / "bad.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BackendUnavailable, match=r"bad\.onnx") as caught:
        opening(path)
    assert caught.value.__cause__ is not None


@BOTH
def test_a_wrong_shape_is_a_failed_run(network: Path, opening: Opening) -> None:
    """Not a crash, and the session goes on working."""
    session = opening(network)
    with pytest.raises(BackendUnavailable, match="did not finish"):
        session.run(np.zeros((1, 1, 5, 7), np.float32))
    assert session.run(_image(1.0))["logits"].shape == (1, 1)


def test_a_missing_device(network: Path) -> None:
    """Named in the message."""
    with pytest.raises(BackendUnavailable, match="openvino:NO_SUCH_DEVICE"):
        open_openvino(network, "NO_SUCH_DEVICE")


def test_names_devices_and_versions(network: Path) -> None:
    """CPU stands first; both backends are dependencies, so both have a version."""
    assert open_openvino(network, threads=1).name == "openvino:CPU"
    assert open_onnxruntime(network, threads=1).name == "onnxruntime:CPU"
    assert openvino_devices()[0] == "CPU"
    assert openvino_version()
    assert onnxruntime_version()
