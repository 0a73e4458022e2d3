"""Takes in an ONNX classifier that was trained elsewhere: our input in front, our three outputs behind.

A network that ends in global average pooling and one linear layer shows where it looked at no cost: the linear layer
moves in front of the pooling, which changes nothing in the result. Any other network with a last linear layer is
taken as well, but its heat map is flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.errors import PackRejected

_PASSED_BY = {"Softmax", "LogSoftmax", "Sigmoid", "Identity", "Dropout"}
_RESHAPES = {"Flatten", "Reshape", "Squeeze", "Identity", "Dropout"}
_OPSET = 13
_REPAIR = "Export the classifier again, as float32 with the input (n, channels, rows, columns) and one output of scores"


@dataclass(frozen=True)
class GivenInput:
    """What the network was trained on: ``(value - mean) / std`` per channel, values 0..1 over ``size_px`` squares."""

    size_px: int
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, eq=False)
class _LastLayer:
    """``scores = pooled @ weight.T + bias``, its input tensor, and the map that was pooled if there is one."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    pooled: str
    feature_map: str | None


def adopt(network: Path, given: GivenInput, order: Sequence[int], target: Path) -> bool:
    """Write ``network`` to ``target`` with the input ``image`` and the outputs ``logits``, ``maps``, ``features``.

    ``order`` says which of its scores stands at which place of ``logits``. Returns whether the maps show where the
    network looked.

    Raises:
        PackRejected: the file is no ONNX classifier of this kind; the text says what is missing.
    """
    model = _loaded(network)
    graph = model.graph
    last = _last_layer(graph)
    if max(order) >= len(last.weight):
        raise _rejected(network, f"the network has {len(last.weight)} scores, the classes need {max(order) + 1}")
    weight, bias = last.weight[list(order)], last.bias[list(order)]
    source = _only_input(graph, network)
    _give_input(graph, source, given, network)
    _give_outputs(graph, last, weight, bias)
    _drop_unused(graph)
    del model.graph.value_info[:]
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise _rejected(network, f"it does not hold together with new ends ({error})") from None
    onnx.save(model, target)
    return last.feature_map is not None


def _rejected(network: Path, why: str) -> PackRejected:
    return PackRejected(network.name, why, _REPAIR)


def _loaded(network: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(network)
    except Exception as error:  # noqa: BLE001 — protobuf raises its own types for whatever a file may hold
        raise _rejected(network, f"it is not an ONNX file ({type(error).__name__})") from None
    version = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if version < _OPSET:
        try:
            model = onnx.version_converter.convert_version(model, _OPSET)
        except RuntimeError as error:
            raise _rejected(network, f"its opset {version} cannot be raised to {_OPSET} ({error})") from None
    if len(model.graph.output) != 1:
        raise _rejected(network, f"it has {len(model.graph.output)} outputs instead of one")
    return model


def _only_input(graph: onnx.GraphProto, network: Path) -> onnx.ValueInfoProto:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1 or inputs[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        raise _rejected(network, "it does not have exactly one float32 input")
    if len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise _rejected(network, "its input does not have four dimensions")
    return inputs[0]


def _last_layer(graph: onnx.GraphProto) -> _LastLayer:
    made_by = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    node = made_by.get(graph.output[0].name)
    while node is not None and node.op_type in _PASSED_BY:
        node = made_by.get(node.input[0])
    bias = None
    if node is not None and node.op_type == "Add":
        name = next((name for name in node.input if name in constants), None)
        bias = constants[name] if name is not None else None
        node = next((made_by[name] for name in node.input if name in made_by), None)
    if node is None or node.op_type not in ("Gemm", "MatMul") or node.input[1] not in constants:
        raise PackRejected("the network", "it does not end in a linear layer", _REPAIR)
    weight = constants[node.input[1]].astype(np.float32)
    transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
    weight = weight if transposed else weight.T
    if node.op_type == "Gemm" and len(node.input) > 2:
        bias = constants[node.input[2]]
    filled = np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32).ravel()
    return _LastLayer(weight, filled, node.input[0], _pooled_map(made_by, constants, node.input[0], weight.shape[1]))


def _pooled_map(
    made_by: dict[str, onnx.NodeProto], constants: dict[str, NDArray[np.float32]], name: str, width: int
) -> str | None:
    """The tensor that was averaged over rows and columns to ``name``; None when it was made in another way."""
    node = made_by.get(name)
    while node is not None and node.op_type in _RESHAPES:
        node = made_by.get(node.input[0])
    if node is None:
        return None
    if node.op_type == "GlobalAveragePool":
        return str(node.input[0])
    if node.op_type != "ReduceMean":
        return None
    axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
    if axes is None and len(node.input) > 1 and node.input[1] in constants:
        axes = [int(axis) for axis in constants[node.input[1]]]
    return str(node.input[0]) if axes is not None and sorted(axis % 4 for axis in axes) == [2, 3] and width else None


def _give_input(graph: onnx.GraphProto, source: onnx.ValueInfoProto, given: GivenInput, network: Path) -> None:
    """``image (1, 1, s, s)`` in -1..1 → what the network was trained on."""
    dimension = source.type.tensor_type.shape.dim[1]
    channels = dimension.dim_value or len(given.mean)
    if channels not in (1, 3):
        raise _rejected(network, f"its input has {channels} channels instead of 1 or 3")
    mean, std = (
        np.broadcast_to(np.asarray(v, np.float32), channels).reshape(1, -1, 1, 1) for v in (given.mean, given.std)
    )
    scale, shift = (0.5 / std).astype(np.float32), ((0.5 - mean) / std).astype(np.float32)
    graph.initializer.extend(
        [numpy_helper.from_array(scale, "scanside_scale"), numpy_helper.from_array(shift, "scanside_shift")]
    )
    nodes = [
        helper.make_node("Concat", ["image"] * channels, ["scanside_channels"], axis=1),
        helper.make_node("Mul", ["scanside_channels", "scanside_scale"], ["scanside_scaled"]),
        helper.make_node("Add", ["scanside_scaled", "scanside_shift"], [source.name]),
    ]
    kept = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(kept)
    graph.input.remove(source)
    shape = [1, 1, given.size_px, given.size_px]
    graph.input.insert(0, helper.make_tensor_value_info("image", TensorProto.FLOAT, shape))


def _give_outputs(
    graph: onnx.GraphProto, last: _LastLayer, weight: NDArray[np.float32], bias: NDArray[np.float32]
) -> None:
    count, width = weight.shape
    graph.initializer.append(numpy_helper.from_array(np.array([1, width], np.int64), "scanside_flat"))
    graph.node.append(helper.make_node("Reshape", [last.pooled, "scanside_flat"], ["features"]))
    if last.feature_map is not None:
        kernel = numpy_helper.from_array(weight.reshape(count, width, 1, 1), "scanside_weight")
        graph.initializer.extend([kernel, numpy_helper.from_array(bias, "scanside_bias")])
        graph.node.append(helper.make_node("Conv", [last.feature_map, "scanside_weight", "scanside_bias"], ["maps"]))
        graph.node.append(helper.make_node("GlobalAveragePool", ["maps"], ["scanside_mean"]))
        graph.initializer.append(numpy_helper.from_array(np.array([1, count], np.int64), "scanside_row"))
        graph.node.append(helper.make_node("Reshape", ["scanside_mean", "scanside_row"], ["logits"]))
    else:
        graph.initializer.extend(
            [numpy_helper.from_array(weight, "scanside_weight"), numpy_helper.from_array(bias, "scanside_bias")]
        )
        linear = ["features", "scanside_weight", "scanside_bias"]
        graph.node.append(helper.make_node("Gemm", linear, ["logits"], transB=1))
        graph.initializer.append(numpy_helper.from_array(np.array([1, count, 1, 1], np.int64), "scanside_map"))
        graph.node.append(helper.make_node("Reshape", ["logits", "scanside_map"], ["maps"]))
    del graph.output[:]
    shapes = {"logits": [1, count], "maps": [1, count, None, None], "features": [1, width]}
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())


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
