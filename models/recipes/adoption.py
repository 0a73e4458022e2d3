"""Takes in an ONNX classifier that was trained elsewhere: our input in front, our three outputs behind.

A network that ends in global average pooling and one linear layer shows where it looked at no cost: the linear layer
moves in front of the pooling, which changes nothing in the result. Any other network with a last linear layer is
taken as well, but its heat map is flat. Either way the result is run beside the original before it is believed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from hardware.errors import BackendUnavailable
from hardware.openvino_session import open_openvino
from models.errors import PackRejected
from models.recipes.last_layer import LastLayer, last_layer
from models.recipes.quantisation import without_traces

_OPSET, _IR_VERSION = 13, 8
_CHANNELS = (1, 3)
#: The given network's own names get this in front, so that they cannot be the same as ours.
_GIVEN = "given_"
_TOLERANCE = 1e-3
_REPAIR = "Export the classifier again, as float32 with the input (n, channels, rows, columns) and one output of scores"


@dataclass(frozen=True)
class GivenInput:
    """What the network was trained on: ``(value - mean) / std`` per channel, values 0..1 over ``size_px`` squares."""

    size_px: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def scale_and_shift(self, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``(1, channels, 1, 1)`` each: ``image * scale + shift`` is the network's input for an image in -1..1."""
        mean, std = (
            np.broadcast_to(np.asarray(v, np.float64), channels).reshape(1, -1, 1, 1) for v in (self.mean, self.std)
        )
        return (0.5 / std).astype(np.float32), ((0.5 - mean) / std).astype(np.float32)


def adopt(network: Path, given: GivenInput, order: Sequence[int], target: Path) -> bool:
    """Write ``network`` to ``target`` with the input ``image`` and the outputs ``logits``, ``maps``, ``features``.

    ``order`` says which of its scores stands at which place of ``logits``. Returns whether the maps show where the
    network looked.

    Raises:
        PackRejected: the file is no ONNX classifier of this kind; the text says what is missing.
    """
    try:
        model = _loaded(network)
        source = _only_input(model.graph)
        channels = _channels(source, given)
        last = last_layer(model.graph)
        _check_scores(last, order)
        scores = _scored(model, last, source.name, given, channels)
        _give_ends(model, last, list(order), source, (given, channels))
        onnx.checker.check_model(model)
        onnx.save(without_traces(model), target)
        _check_same(target, scores[:, list(order)], given)
    except (ValueError, BackendUnavailable, onnx.checker.ValidationError) as error:
        raise PackRejected(network.name, str(error).strip(), _REPAIR) from None
    return last.feature_map is not None


def _loaded(network: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(network)
    except Exception as error:  # noqa: BLE001 — protobuf raises its own types for whatever a file may hold
        raise ValueError(f"it cannot be read as ONNX ({type(error).__name__})") from None
    graph = model.graph
    if not graph.node or len(graph.output) != 1:
        raise ValueError(f"it has {len(graph.output)} outputs instead of one")
    version = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if version < _OPSET:
        try:
            model = version_converter.convert_version(model, _OPSET)
        except Exception as error:  # noqa: BLE001 — the converter raises whatever its C++ half threw
            raise ValueError(f"its opset {version} cannot be raised to {_OPSET} ({type(error).__name__})") from None
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in stored]  # old files list the weights as well
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _IR_VERSION)
    return compose.add_prefix(model, _GIVEN)


def _only_input(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    if len(graph.input) != 1 or graph.input[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise ValueError("it does not have exactly one float32 input")
    if len(graph.input[0].type.tensor_type.shape.dim) != 4:
        raise ValueError("its input does not have four dimensions")
    source = onnx.ValueInfoProto()
    source.CopyFrom(graph.input[0])
    return source


def _channels(source: onnx.ValueInfoProto, given: GivenInput) -> int:
    """How many the network wants; a dimension of 0 is one that the file leaves open."""
    batch, channels, rows, columns = (one.dim_value for one in source.type.tensor_type.shape.dim)
    if columns in _CHANNELS and channels not in _CHANNELS:
        raise ValueError("its input has the channels last instead of (n, channels, rows, columns)")
    if (channels or len(given.mean)) not in _CHANNELS:
        raise ValueError(f"its input has {channels} channels instead of 1 or 3")
    if batch not in (0, 1):
        raise ValueError(f"it takes {batch} pictures at once instead of one")
    if {rows, columns} - {0, given.size_px}:
        raise ValueError(f"its input is {rows} x {columns} pixels, the description says size_px = {given.size_px}")
    if any(len(one) not in (1, channels or len(given.mean)) for one in (given.mean, given.std)):
        raise ValueError(f"mean and std need one number, or one for each of its {channels or len(given.mean)} channels")
    return channels or len(given.mean)


def _check_scores(last: LastLayer, order: Sequence[int]) -> None:
    if len(last.weight) != len(order):
        raise ValueError(f"it has {len(last.weight)} scores, the description needs {len(order)}")
    if last.activation == "Sigmoid" and len(order) > 1:
        raise ValueError("it ends in Sigmoid, so its classes do not exclude each other")
    if last.activation in ("Softmax", "LogSoftmax") and len(order) == 1:
        raise ValueError(f"it ends in {last.activation} of a single score, which says nothing")


def _give_ends(
    model: onnx.ModelProto, last: LastLayer, order: list[int], source: onnx.ValueInfoProto, own: tuple[GivenInput, int]
) -> None:
    _give_input(model.graph, source, *own)
    _give_outputs(model.graph, last, last.weight[order], last.bias[order])
    _drop_unused(model.graph)
    del model.graph.value_info[:]


def _give_input(graph: onnx.GraphProto, source: onnx.ValueInfoProto, given: GivenInput, channels: int) -> None:
    """``image (1, 1, s, s)`` in -1..1 → what the network was trained on."""
    scale, shift = given.scale_and_shift(channels)
    graph.initializer.extend([numpy_helper.from_array(scale, "scale"), numpy_helper.from_array(shift, "shift")])
    nodes = [
        helper.make_node("Concat", ["image"] * channels, ["channels"], axis=1),
        helper.make_node("Mul", ["channels", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], [source.name]),
    ]
    kept = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.input[:]
    shape = [1, 1, given.size_px, given.size_px]
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))


def _give_outputs(
    graph: onnx.GraphProto, last: LastLayer, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> None:
    count, width = weight.shape
    shapes = {"flat": [1, width], "row": [1, count], "one_cell": [1, count, 1, 1]}
    graph.initializer.extend(numpy_helper.from_array(np.array(dims, np.int64), name) for name, dims in shapes.items())
    graph.initializer.append(numpy_helper.from_array(bias, "bias"))
    graph.node.append(helper.make_node("Reshape", [last.pooled, "flat"], ["features"]))
    if last.feature_map is not None:
        graph.initializer.append(numpy_helper.from_array(weight.reshape(count, width, 1, 1), "weight"))
        graph.node.append(helper.make_node("Conv", [last.feature_map, "weight", "bias"], ["maps"]))
        graph.node.append(helper.make_node("GlobalAveragePool", ["maps"], ["mean"]))
        graph.node.append(helper.make_node("Reshape", ["mean", "row"], ["logits"]))
    else:
        graph.initializer.append(numpy_helper.from_array(weight, "weight"))
        graph.node.append(helper.make_node("Gemm", ["features", "weight", "bias"], ["logits"], transB=1))
        graph.node.append(helper.make_node("Reshape", ["logits", "one_cell"], ["maps"]))
    del graph.output[:]
    ends = {"logits": [1, count], "maps": [1, count, None, None], "features": [1, width]}
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in ends.items())


def _drop_unused(graph: onnx.GraphProto) -> None:
    """Remove what no longer leads to an output."""
    wanted, kept = {one.name for one in graph.output}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    initialisers = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(initialisers)


def _pictures(size_px: int) -> NDArray[np.float32]:
    """Two pictures in -1..1 to compare by: noise, and a ramp that tells up, down, left and right apart."""
    rows, columns = np.mgrid[-1 : 1 : size_px * 1j, -1 : 1 : size_px * 1j]
    noise = np.random.default_rng(0).uniform(-1, 1, (size_px, size_px))
    return np.stack([noise, 0.7 * rows + 0.3 * columns]).astype(np.float32)[:, None, None]


def _scored(
    model: onnx.ModelProto, last: LastLayer, source: str, given: GivenInput, channels: int
) -> NDArray[np.float32]:
    """The scores ``(2, k)`` of the network as it was given, without what follows them."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.append(helper.make_tensor_value_info(last.scores, TensorProto.FLOAT, None))
    _drop_unused(probe.graph)
    scale, shift = given.scale_and_shift(channels)
    inputs = [np.repeat(picture, channels, axis=1) * scale + shift for picture in _pictures(given.size_px)]
    for dimension, size in zip(probe.graph.input[0].type.tensor_type.shape.dim, inputs[0].shape, strict=True):
        dimension.dim_value = size
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "given.onnx"
        onnx.save(probe, file)
        session = open_openvino(file)
        found = [session.run(one)[last.scores].ravel() for one in inputs]
    if {one.size for one in found} != {len(last.weight)}:
        raise ValueError(f"{source.removeprefix(_GIVEN)} of one picture does not give one row of scores")
    return np.stack(found)


def _check_same(target: Path, scores: NDArray[np.float32], given: GivenInput) -> None:
    session = open_openvino(target)
    found = np.stack([session.run(picture)["logits"][0] for picture in _pictures(given.size_px)])
    away = float(np.abs(found - scores).max())
    if not away <= _TOLERANCE * max(1.0, float(np.abs(scores).max())):
        raise ValueError(f"with ends of ours it scores otherwise than by itself ({away:.3g} apart)")
