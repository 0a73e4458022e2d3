"""Smaller forms of an FP32 network: INT8 by NNCF as QDQ, weights in half precision, weights of few bits."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import nncf
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.unquantised import scaled_constant

_WORTH_HALVING = 256


def quantise(fp32: Path, int8: Path, images: NDArray[np.float32]) -> None:
    """Post-training quantisation to 8 bits, activations calibrated on ``images (n, 1, s, s)``.

    The weights are then stored as the 8-bit numbers they are, with their scales: a quarter of the size.
    """
    model = onnx.load(fp32)
    name = model.graph.input[0].name
    dataset = nncf.Dataset([image[None] for image in images], lambda item: {name: item})
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars; standard output is for results
        quantised = nncf.quantize(
            model,
            dataset,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(images),
            fast_bias_correction=False,
        )
    onnx.save(without_traces(store_weights_as_integers(quantised)), int8)


def store_weights_as_integers(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold each QuantizeLinear of a constant into an integer constant; what the network computes stays the same."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    kept, folded = [], {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and all(name in constants for name in node.input):
            folded[node.output[0]] = _quantised(node, constants)
        else:
            kept.append(node)
    if not folded:
        return model
    used = {name for node in kept for name in node.input}
    initialisers = [t for t in model.graph.initializer if t.name in used] + list(folded.values())
    _replace(model, kept, initialisers)
    onnx.checker.check_model(model)
    return model


def store_weights_as_halves(fp32: Path, target: Path) -> None:
    """Store weights in half precision and widen them when the network is loaded: FP32 arithmetic, half the bytes."""
    model = onnx.load(fp32)
    widened, initialisers = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _WORTH_HALVING:
            initialisers.append(tensor)
            continue
        stored = f"{tensor.name}_half"
        initialisers.append(numpy_helper.from_array(values.astype(np.float16), stored))
        widened.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    _replace(model, [*widened, *model.graph.node], initialisers)
    onnx.checker.check_model(model)
    onnx.save(without_traces(model), target)


def round_weights(fp32: Path, target: Path, bits: int = 4) -> int:
    """Write a twin whose convolution weights are rounded to ``bits`` bits per output channel.

    For reporting what so few bits cost. Returns the bytes these weights would take when packed, with their scales.
    """
    model = onnx.load(fp32)
    weights = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    packed = 0
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in weights:
            packed += values.nbytes
            continue
        largest = np.abs(values).reshape(len(values), -1).max(axis=1).reshape(-1, *[1] * (values.ndim - 1))
        scale = np.maximum(largest, 1e-12) / (2 ** (bits - 1) - 1)
        rounded = (np.rint(values / scale) * scale).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
        packed += values.size * bits // 8 + scale.size * 4
    onnx.save(model, target)
    return packed


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what exporters leave in a file and no network needs: source paths, stack traces, texts, inferred shapes."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    graph = model.graph
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


def _replace(model: onnx.ModelProto, nodes: list[onnx.NodeProto], initialisers: list[onnx.TensorProto]) -> None:
    nodes, initialisers = list(nodes), list(initialisers)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(initialisers)


def _quantised(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> onnx.TensorProto:
    values, scale, zero = scaled_constant(node, constants)
    limits = np.iinfo(zero.dtype)
    whole = np.clip(np.rint(values / scale) + zero, limits.min, limits.max)
    return numpy_helper.from_array(whole.astype(zero.dtype), node.output[0])
