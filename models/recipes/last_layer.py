"""Finds the end of an ONNX classifier: its last linear layer, and the feature map that was averaged before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

_ACTIVATIONS = {"Softmax", "LogSoftmax", "Sigmoid"}
_PASSED_BY = _ACTIVATIONS | {"Identity", "Dropout"}
_RESHAPES = {"Flatten", "Reshape", "Squeeze", "Identity", "Dropout"}
_ROWS_AND_COLUMNS = [2, 3]


class NoLinearLayer(ValueError):
    """The network does not end in a linear layer with constant weights."""


@dataclass(frozen=True, eq=False)
class LastLayer:
    """``scores = pooled @ weight.T + bias``.

    ``weight (k, f)``, ``bias (k,)``; ``scores`` and ``pooled`` are names of tensors, ``feature_map`` that of the one
    that was averaged over rows and columns to ``pooled``, if one was. ``activation`` is what follows the scores.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    scores: str
    pooled: str
    feature_map: str | None
    activation: str | None


def last_layer(graph: onnx.GraphProto) -> LastLayer:
    """Walk back from the only output. Raises NoLinearLayer when there is none before anything else."""
    made_by = {name: node for node in graph.node for name in node.output}
    constants = dict(_constants(graph))
    scores, activation = graph.output[0].name, None
    while scores in made_by and made_by[scores].op_type in _PASSED_BY:
        node = made_by[scores]
        activation = node.op_type if node.op_type in _ACTIVATIONS else activation
        scores = node.input[0]
    added, name = _added(made_by.get(scores), constants, scores)
    linear = made_by.get(name)
    if linear is None or linear.op_type not in ("Gemm", "MatMul") or linear.input[1] not in constants:
        raise NoLinearLayer(f"it ends in {linear.op_type if linear else 'nothing'} instead of a linear layer")
    weight, bias = _weight_and_bias(linear, constants)
    if added is not None:
        bias = bias + added.astype(np.float32)
    pooled = linear.input[0]
    filled = np.broadcast_to(bias.ravel(), len(weight)).astype(np.float32)
    return LastLayer(weight, filled, scores, pooled, _pooled_map(made_by, constants, pooled), activation)


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, NDArray[Any]]]:
    """Stored tensors, and what is only another name or the transpose of one."""
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    yield from known.items()
    for node in graph.node:
        given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Constant" and "value" in given:
            made = numpy_helper.to_array(given["value"])
        elif node.op_type == "Constant" and given:
            made = np.asarray(next(iter(given.values())))
        elif node.op_type in ("Identity", "Transpose") and node.input[0] in known:
            own = known[node.input[0]]
            made = own if node.op_type == "Identity" else np.transpose(own, given.get("perm"))
        else:
            continue
        known[node.output[0]] = made
        yield node.output[0], made


def _added(
    node: onnx.NodeProto | None, constants: dict[str, NDArray[Any]], scores: str
) -> tuple[NDArray[Any] | None, str]:
    """The constant that a last Add adds, with the tensor it is added to."""
    if node is None or node.op_type != "Add":
        return None, scores
    for constant, other in (node.input, node.input[::-1]):
        if constant in constants:
            return constants[constant], str(other)
    return None, scores


def _weight_and_bias(
    node: onnx.NodeProto, constants: dict[str, NDArray[Any]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    weight = constants[node.input[1]].astype(np.float32)
    if weight.ndim != 2 or given.get("transA", 0):
        raise NoLinearLayer("its last layer is no plain linear one")
    weight = weight if given.get("transB", 0) else weight.T
    bias = np.zeros(1, np.float32)
    if len(node.input) > 2 and node.input[2]:
        if node.input[2] not in constants:
            raise NoLinearLayer("the bias of its last layer is not constant")
        bias = constants[node.input[2]].astype(np.float32) * np.float32(given.get("beta", 1.0))
    return np.ascontiguousarray(weight * np.float32(given.get("alpha", 1.0))), bias


def _pooled_map(made_by: dict[str, onnx.NodeProto], constants: dict[str, NDArray[Any]], name: str) -> str | None:
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
    axes = next((list(one.ints) for one in node.attribute if one.name == "axes"), None)
    if axes is None and len(node.input) > 1 and node.input[1] in constants:
        axes = [int(axis) for axis in constants[node.input[1]].ravel()]
    return str(node.input[0]) if axes is not None and sorted(axis % 4 for axis in axes) == _ROWS_AND_COLUMNS else None
