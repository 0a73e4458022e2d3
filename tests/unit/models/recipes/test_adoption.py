"""Networks trained elsewhere: every way to end is taken in with the same scores, everything else is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hardware.onnxruntime_session import open_onnxruntime
from models.calibrated import sigmoid, softmax
from models.errors import PackRejected
from models.preprocessing import InputSpec, to_tensor
from models.recipes.adoption import GivenInput, adopt
from tests.given_networks import ENDINGS, KINDS, SIZE_PX, WIDTH, Ending, Form, classifier, drawn

GIVEN = GivenInput(SIZE_PX)
SPEC = InputSpec(size_px=SIZE_PX, low_pass_sigma_px=0.0, low_percentile=0.0, high_percentile=100.0)


def _saved(model: onnx.ModelProto, folder: Path) -> Path:
    onnx.save(model, folder / "given.onnx")
    return folder / "given.onnx"


def _given_scores(network: Path, tensor: NDArray[np.float32], given: GivenInput, channels: int) -> NDArray[np.float32]:
    """What the network says by itself about the same picture, normalised the way it was trained."""
    mean, std = (np.asarray(v, np.float32).reshape(1, -1, 1, 1) for v in (given.mean, given.std))
    values = (np.repeat((tensor + 1) / 2, channels, axis=1) - mean) / std
    (found,) = open_onnxruntime(network).run(values.astype(np.float32)).values()
    scores: NDArray[np.float32] = found[0]
    return scores


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("activation", [None, "Softmax", "LogSoftmax"])
def test_the_scores_stay_the_same(tmp_path: Path, ending: Ending, activation: str | None) -> None:
    """In the order asked for, the maps' mean being the logit; where nothing was pooled the map is one flat cell."""
    network = _saved(classifier(Form(ending, activation), scores=3), tmp_path)
    looks = adopt(network, GIVEN, (2, 0, 1), tmp_path / "adopted.onnx")
    adopted = open_onnxruntime(tmp_path / "adopted.onnx")
    for kind in KINDS:
        tensor = to_tensor(drawn(kind, seed=3), SPEC)
        outputs = adopted.run(tensor)
        own = _given_scores(network, tensor, GIVEN, 1)[[2, 0, 1]]
        logits = outputs["logits"][0].astype(np.float64)
        said = {None: logits, "Softmax": softmax(logits), "LogSoftmax": np.log(softmax(logits))}[activation]
        np.testing.assert_allclose(said, own, atol=1e-4)
        np.testing.assert_allclose(outputs["maps"].mean(axis=(2, 3))[0], outputs["logits"][0], atol=1e-4)
    assert looks is (ending != "no_pooling")
    assert outputs["maps"].shape == ((1, 3, 16, 16) if looks else (1, 3, 1, 1))
    assert outputs["features"].shape == (1, WIDTH if looks else WIDTH * 4)


@pytest.mark.parametrize("activation", [None, "Sigmoid"])
def test_one_score(tmp_path: Path, activation: str | None) -> None:
    """A single score is a logit, with Sigmoid behind it or without."""
    network = _saved(classifier(Form(activation=activation), scores=1), tmp_path)
    adopt(network, GIVEN, (0,), tmp_path / "adopted.onnx")
    tensor = to_tensor(drawn("effusion", seed=1), SPEC)
    logit = open_onnxruntime(tmp_path / "adopted.onnx").run(tensor)["logits"][0].astype(np.float64)
    own = _given_scores(network, tensor, GIVEN, 1)
    np.testing.assert_allclose(logit if activation is None else sigmoid(logit), own, atol=1e-4)


@pytest.mark.parametrize("size_px", [64, 65])
def test_three_channels_with_their_mean_and_std(tmp_path: Path, size_px: int) -> None:
    """Grey goes into each of three channels, normalised as in training."""
    given = GivenInput(size_px, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    network = _saved(classifier(Form(channels=3, size_px=size_px, names=("input", "output"))), tmp_path)
    adopt(network, given, (0, 1), tmp_path / "adopted.onnx")
    tensor = to_tensor(drawn("effusion", seed=1), SPEC.model_copy(update={"size_px": size_px}))
    logits = open_onnxruntime(tmp_path / "adopted.onnx").run(tensor)["logits"][0]
    np.testing.assert_allclose(logits, _given_scores(network, tensor, given, 3), atol=1e-4)


def test_names_like_ours_are_no_trouble(tmp_path: Path) -> None:
    """A network whose own tensors are called maps, features, weight and logits."""
    model = classifier(Form(names=("maps", "features")))
    network = _saved(model, tmp_path)
    adopt(network, GIVEN, (0, 1), tmp_path / "adopted.onnx")
    assert [one.name for one in onnx.load(tmp_path / "adopted.onnx").graph.output] == ["logits", "maps", "features"]


def test_an_old_file_is_raised(tmp_path: Path) -> None:
    """Opset 11 with the weights listed among the inputs, as exports of 2019 have it."""
    model = classifier(Form("pool_gemm", "Softmax", opset=11))
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    network = _saved(model, tmp_path)
    assert adopt(network, GIVEN, (0, 1), tmp_path / "adopted.onnx")
    adopted = onnx.load(tmp_path / "adopted.onnx")
    assert [one.name for one in adopted.graph.input] == ["image"]
    assert adopted.opset_import[0].version == 13


def _two_outputs() -> onnx.ModelProto:
    model = classifier(Form())
    model.graph.output.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["n", WIDTH]))
    return model


def _two_inputs() -> onnx.ModelProto:
    model = classifier(Form())
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, ["n", 1]))
    return model


def _channels_last() -> onnx.ModelProto:
    model = classifier(Form(channels=3))
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, SIZE_PX, SIZE_PX, 3), strict=True):
        dimension.dim_value = size
    return model


def _bytes_in() -> onnx.ModelProto:
    model = classifier(Form())
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return model


def _flat_input() -> onnx.ModelProto:
    model = classifier(Form())
    del model.graph.input[0].type.tensor_type.shape.dim[0]
    return model


def _no_linear_layer() -> onnx.ModelProto:
    model = classifier(Form("mean_matmul_add"))
    model.graph.node[-1].op_type = "Mul"
    return model


def _made_bias() -> onnx.ModelProto:
    model = classifier(Form())
    model.graph.node.insert(0, helper.make_node("Neg", ["bias"], ["turned"]))
    model.graph.node[-1].input[2] = "turned"
    return model


def _convolutional_end() -> onnx.ModelProto:
    model = classifier(Form())
    graph = model.graph
    del graph.node[-1]
    graph.initializer.append(numpy_helper.from_array(np.ones((2, WIDTH, 1, 1), np.float32), "kernel"))
    graph.node.append(helper.make_node("Conv", ["pooled", "kernel"], ["logits"]))
    return model


def _cannot_run() -> onnx.ModelProto:
    model = classifier(Form("mean_reshape_gemm"))
    shape = next(tensor for tensor in model.graph.initializer if tensor.name == "shape")
    shape.CopyFrom(numpy_helper.from_array(np.array([-1, WIDTH + 1]), "shape"))
    return model


def _averages_of_averages() -> onnx.ModelProto:
    """The flattened map is reordered between pooling and the last layer, in a way that looks like a mere reshape."""
    model = classifier(Form())
    graph = model.graph
    nodes = list(graph.node)
    at = next(index for index, node in enumerate(nodes) if node.op_type == "Flatten")
    nodes[at] = helper.make_node("Transpose", ["pooled"], ["turned"], perm=[2, 3, 0, 1])
    nodes.insert(at + 1, helper.make_node("Softmax", ["turned"], ["shares"], axis=3))
    nodes.insert(at + 2, helper.make_node("Reshape", ["shares", "row"], ["flat"]))
    graph.initializer.append(numpy_helper.from_array(np.array([-1, WIDTH]), "row"))
    del graph.node[:]
    graph.node.extend(nodes)
    return model


@pytest.mark.parametrize(
    ("make", "order", "why"),
    [
        (_two_outputs, (0, 1), "it has 2 outputs instead of one"),
        (_two_inputs, (0, 1), "exactly one float32 input"),
        (_bytes_in, (0, 1), "exactly one float32 input"),
        (_flat_input, (0, 1), "does not have four dimensions"),
        (_channels_last, (0, 1), "channels last"),
        (lambda: classifier(Form(channels=2)), (0, 1), "2 channels instead of 1 or 3"),
        (lambda: classifier(Form(size_px=96)), (0, 1), "96 x 96 pixels, the description says size_px = 64"),
        (lambda: classifier(Form(batch=8)), (0, 1), "8 pictures at once"),
        (lambda: classifier(Form(), scores=3), (0, 1), "it has 3 scores, the description needs 2"),
        (lambda: classifier(Form(), scores=2), (0,), "it has 2 scores, the description needs 1"),
        (lambda: classifier(Form(activation="Sigmoid")), (0, 1), "do not exclude each other"),
        (lambda: classifier(Form(activation="Softmax"), scores=1), (0,), "a single score"),
        (_no_linear_layer, (0, 1), "ends in Mul instead of a linear layer"),
        (_convolutional_end, (0, 1), "ends in Conv instead of a linear layer"),
        (_made_bias, (0, 1), "the bias of its last layer is not constant"),
        (_cannot_run, (0, 1), "cannot load given.onnx"),
    ],
)
def test_what_cannot_be_taken_in(
    tmp_path: Path, make: Callable[[], onnx.ModelProto], order: tuple[int, ...], why: str
) -> None:
    """One sentence with the reason, and one with what to do."""
    with pytest.raises(PackRejected, match=why) as rejected:
        adopt(_saved(make(), tmp_path), GIVEN, order, tmp_path / "adopted.onnx")
    assert rejected.value.pack == "given.onnx"
    assert rejected.value.repair.startswith("Export the classifier again")


def test_what_is_done_after_pooling_costs_the_map_alone(tmp_path: Path) -> None:
    """Anything but a reshape between pooling and the last layer: same scores, flat map."""
    network = _saved(_averages_of_averages(), tmp_path)
    assert not adopt(network, GIVEN, (0, 1), tmp_path / "adopted.onnx")
    tensor = to_tensor(drawn("effusion", seed=1), SPEC)
    logits = open_onnxruntime(tmp_path / "adopted.onnx").run(tensor)["logits"][0]
    np.testing.assert_allclose(logits, _given_scores(network, tensor, GIVEN, 1), atol=1e-4)


@pytest.mark.parametrize(("mean", "std"), list(itertools.product([(0.0,), (0.1, 0.2, 0.3)], repeat=2)))
def test_more_means_than_channels(tmp_path: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Three numbers for a network with one channel are a mistake in the description."""
    network = _saved(classifier(Form()), tmp_path)
    given = GivenInput(SIZE_PX, mean, tuple(one + 1 for one in std))
    if len(mean) == len(std) == 1:
        adopt(network, given, (0, 1), tmp_path / "adopted.onnx")
        return
    with pytest.raises(PackRejected, match="one for each of its 1 channels"):
        adopt(network, given, (0, 1), tmp_path / "adopted.onnx")


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x07", b"\xff" * 400])
def test_a_file_that_is_no_network(tmp_path: Path, content: bytes) -> None:
    """Nothing, text, the start of one, noise."""
    (tmp_path / "given.onnx").write_bytes(content)
    with pytest.raises(PackRejected, match=r"model pack given\.onnx: it "):
        adopt(tmp_path / "given.onnx", GIVEN, (0, 1), tmp_path / "adopted.onnx")


def test_there_is_no_file(tmp_path: Path) -> None:
    """A wrong path is told apart from a wrong file."""
    with pytest.raises(PackRejected, match="FileNotFoundError"):
        adopt(tmp_path / "gone.onnx", GIVEN, (0, 1), tmp_path / "adopted.onnx")


@pytest.mark.parametrize("place", ["middle", "end"])
def test_a_sum_of_two_branches_is_no_bias(tmp_path: Path, place: str) -> None:
    """An Add of two computed tensors must not be taken for the last layer's bias."""
    model = classifier(Form("mean_matmul_add"))
    graph = model.graph
    if place == "end":
        graph.node[-1].input[0] = "product"
        with pytest.raises(PackRejected, match="ends in Add instead of a linear layer"):
            adopt(_saved(model, tmp_path), GIVEN, (0, 1), tmp_path / "adopted.onnx")
        return
    nodes = list(graph.node)
    nodes.insert(-2, helper.make_node("Add", ["flat", "flat"], ["twice"]))
    nodes[-2].input[0] = "twice"
    del graph.node[:]
    graph.node.extend(nodes)
    assert not adopt(_saved(model, tmp_path), GIVEN, (0, 1), tmp_path / "adopted.onnx")
