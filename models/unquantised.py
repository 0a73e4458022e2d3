"""The FP32 twin of a QDQ network, for comparing speed: same operators, same weights, no integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


def unquantised(network: Path, target: Path) -> None:
    """Write ``network`` with every weight as float32 and every activation QuantizeLinear/DequantizeLinear removed."""
    model = onnx.load(network)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    renamed: dict[str, str] = {}
    kept: list[onnx.NodeProto] = []
    added: list[onnx.TensorProto] = []
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            added.append(_dequantised(node, constants))
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            renamed[node.output[0]] = renamed.get(node.input[0], node.input[0])
        else:
            kept.append(node)
    for node in kept:
        for position, name in enumerate(node.input):
            node.input[position] = renamed.get(name, name)
    used = {name for node in kept for name in node.input}
    initialisers = [tensor for tensor in model.graph.initializer if tensor.name in used] + added
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.initializer[:]
    model.graph.initializer.extend(initialisers)
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _dequantised(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> onnx.TensorProto:
    values, scale, zero = scaled_constant(node, constants)
    real: NDArray[np.float32] = ((values.astype(np.float32) - zero.astype(np.float32)) * scale).astype(np.float32)
    return numpy_helper.from_array(real, node.output[0])


def scaled_constant(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The constant of a QuantizeLinear or DequantizeLinear with scale and zero point, shaped to broadcast over it."""
    values, scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    along = [-1 if dimension == axis else 1 for dimension in range(values.ndim)]
    return values, *(part.reshape(along) if part.ndim else part for part in (scale, zero))
