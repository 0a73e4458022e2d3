"""From a trained network to the ONNX file a pack ships: FP32 export, then INT8 by NNCF as QDQ."""

from __future__ import annotations

from pathlib import Path

import nncf
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from models.recipes.network import MapClassifier
from models.unquantised import scaled_constant

_OPSET = 18


def export_onnx(network: MapClassifier, size_px: int, target: Path) -> None:
    """Write an FP32 ONNX file with input ``image`` and outputs ``logits`` and ``maps``, batch size 1."""
    example = torch.zeros(1, 1, size_px, size_px)
    names = {"input_names": ["image"], "output_names": ["logits", "maps"]}
    program = torch.onnx.export(network.eval(), (example,), dynamo=True, opset_version=_OPSET, verbose=False, **names)
    assert program is not None
    program.save(str(target), external_data=False)


def quantise(fp32: Path, int8: Path, images: NDArray[np.float32]) -> None:
    """Post-training quantisation to 8 bits, activations calibrated on ``images (n, 1, s, s)``.

    The weights are then stored as the 8-bit numbers they are, with their scales: a quarter of the size.
    """
    dataset = nncf.Dataset([image[None] for image in images], lambda item: {"image": item})
    quantised = nncf.quantize(
        onnx.load(fp32),
        dataset,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images),
        fast_bias_correction=False,
    )
    onnx.save(store_weights_as_integers(quantised), int8)


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
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.initializer[:]
    model.graph.initializer.extend(initialisers)
    onnx.checker.check_model(model)
    return model


def _quantised(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> onnx.TensorProto:
    values, scale, zero = scaled_constant(node, constants)
    limits = np.iinfo(zero.dtype)
    whole = np.clip(np.rint(values / scale) + zero, limits.min, limits.max)
    return numpy_helper.from_array(whole.astype(zero.dtype), node.output[0])
