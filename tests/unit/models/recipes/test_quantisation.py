"""Smaller forms of a network say nearly the same, and are as small as they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from hardware.onnxruntime_session import open_onnxruntime
from hardware.openvino_session import open_openvino
from models.preprocessing import InputSpec, to_tensor
from models.recipes.adoption import GivenInput, adopt
from models.recipes.quantisation import quantise, round_weights, store_weights_as_halves, without_traces
from tests.given_networks import KINDS, SIZE_PX, Form, classifier, drawn

SPEC = InputSpec(size_px=SIZE_PX, low_pass_sigma_px=0.0, low_percentile=0.0, high_percentile=100.0)


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with our ends."""
    folder = tmp_path_factory.mktemp("network")
    onnx.save(classifier(Form(), scores=3), folder / "given.onnx")
    adopt(folder / "given.onnx", GivenInput(SIZE_PX), (0, 1, 2), folder / "fp32.onnx")
    return folder / "fp32.onnx"


def test_a_file_tells_nothing_of_the_machine_that_exported_it() -> None:
    """Source paths and texts of an exporter are gone; what the network computes needs none of them."""
    model = classifier(Form(), scores=3)
    model.doc_string, model.graph.node[0].doc_string = "made at home", "File /home/someone/train.py"
    model.graph.node[1].metadata_props.add(key="stack_trace", value="/home/someone/train.py")
    bare = without_traces(model).SerializeToString()
    assert b"home" not in bare
    onnx.checker.check_model(onnx.load_from_string(bare))


@pytest.fixture(scope="module")
def tensors() -> NDArray[np.float32]:
    """Pictures as network inputs."""
    return np.concatenate([to_tensor(drawn(KINDS[seed % 3], seed), SPEC) for seed in range(60)])


def _logits(network: Path, tensors: NDArray[np.float32]) -> NDArray[np.float32]:
    session = open_openvino(network)
    return np.stack([session.run(one[None])["logits"][0] for one in tensors])


def test_weights_as_halves(fp32: Path, tensors: NDArray[np.float32], tmp_path: Path) -> None:
    """Within 0.01 of the same logits, at little more than half the size; ONNX Runtime reads it as well."""
    store_weights_as_halves(fp32, tmp_path / "halves.onnx")
    plain = _logits(fp32, tensors)
    np.testing.assert_allclose(_logits(tmp_path / "halves.onnx", tensors), plain, atol=1e-2)
    own = open_onnxruntime(tmp_path / "halves.onnx").run(tensors[:1])["logits"]
    np.testing.assert_allclose(own, plain[:1], atol=1e-2)
    assert (tmp_path / "halves.onnx").stat().st_size < 0.6 * fp32.stat().st_size


def test_int8(fp32: Path, tensors: NDArray[np.float32], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Logits nearly the same, weights a quarter of the size and stored as integers; standard output stays free."""
    quantise(fp32, tmp_path / "int8.onnx", tensors[:40])
    assert capsys.readouterr().out == ""
    plain, small = _logits(fp32, tensors), _logits(tmp_path / "int8.onnx", tensors)
    assert np.abs(plain - small).max() < 0.15 * plain.std()
    assert (tmp_path / "int8.onnx").stat().st_size < 0.5 * fp32.stat().st_size
    kinds = {numpy_helper.to_array(one).dtype for one in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    assert np.dtype(np.int8) in kinds
    session = open_onnxruntime(tmp_path / "int8.onnx")
    outputs = session.run(tensors[:1])
    np.testing.assert_allclose(outputs["logits"][0], small[0], atol=0.05 * plain.std())


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_of_few_bits(fp32: Path, tmp_path: Path, bits: int) -> None:
    """Each output channel has its own 2^bits - 1 levels; the bytes are those of packed weights and their scales."""
    size_bytes = round_weights(fp32, tmp_path / "few.onnx", bits)
    before, after = (
        {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
        for path in (fp32, tmp_path / "few.onnx")
    )
    expected = 0
    for name, values in before.items():
        if values.ndim != 4 or values.size < 100:
            expected += values.nbytes
            continue
        expected += values.size * bits // 8 + len(values) * 4
        assert max(np.unique(kernel).size for kernel in after[name]) <= 2**bits - 1
        np.testing.assert_allclose(after[name], values, atol=np.abs(values).max() / 2 ** (bits - 1))
    assert size_bytes == expected
