"""Both backends: the same network, the same answers, the same way to fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hardware import openvino_session
from hardware.errors import BackendUnavailable
from hardware.onnxruntime_session import onnxruntime_version, open_onnxruntime
from hardware.openvino_session import open_openvino, openvino_devices, openvino_version
from hardware.processor import multiplies_bytes_exactly
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


def _loud_network() -> bytes:
    """A quantised convolution whose bytes are as large as bytes are: image and weights at the ends of their ranges."""
    constants = {
        "image_step": np.array(1 / 255, np.float32),
        "image_zero": np.array(0, np.uint8),
        "weights": np.full((8, 16, 3, 3), 127, np.int8),
        "weight_step": np.full(8, 0.01, np.float32),
        "weight_zero": np.zeros(8, np.int8),
        "sum_step": np.array(1.0, np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "image_step", "image_zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "image_step", "image_zero"], ["stepped"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_step", "weight_zero"], ["kernel"], axis=0),
        helper.make_node("Conv", ["stepped", "kernel"], ["sums"], kernel_shape=[3, 3]),
        helper.make_node("QuantizeLinear", ["sums", "sum_step", "image_zero"], ["sum_bytes"]),
        helper.make_node("DequantizeLinear", ["sum_bytes", "sum_step", "image_zero"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "loud",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 16, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 8, 6, 6])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@BOTH
@pytest.mark.parametrize("vnni", [None, False], ids=["this processor", "as if without VNNI"])
def test_quantised_sums_do_not_saturate(
    tmp_path: Path, opening: Opening, vnni: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the processor's instructions for bytes are; x86 without VNNI would give half of the sum."""
    if vnni is not None:
        monkeypatch.setattr(openvino_session, "multiplies_bytes_exactly", lambda: vnni)
    path = tmp_path / "loud.onnx"
    path.write_bytes(_loud_network())
    outputs = opening(path).run(np.ones((1, 16, 8, 8), np.float32))
    assert outputs["logits"] == pytest.approx(16 * 9 * 1.27, abs=1.0)


@pytest.mark.parametrize(
    ("said", "exact"),
    [
        ("flags\t\t: fpu avx2 fma\nflags\t\t: fpu avx2 fma\n", False),
        ("flags\t\t: avx2 avx512f avx512_vnni\n", True),
        ("flags\t\t: avx2 avx_vnni\nflags\t\t: avx2\n", False),
        ("Features\t: fp asimd asimddp\n", True),
        ("", True),
    ],
)
def test_what_the_system_says_of_its_processors(tmp_path: Path, said: str, exact: bool) -> None:
    """VNNI in every one of them; nothing said is nothing known."""
    (tmp_path / "cpuinfo").write_text(said)
    assert multiplies_bytes_exactly(tmp_path / "cpuinfo") is exact
    assert multiplies_bytes_exactly(tmp_path / "none")
