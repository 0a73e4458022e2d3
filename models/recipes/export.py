"""From a trained network to an FP32 ONNX file."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch

from models.recipes.network import MapClassifier
from models.recipes.quantisation import without_traces

_OPSET = 18


def export_onnx(network: MapClassifier, size_px: int, target: Path) -> None:
    """Write an FP32 ONNX file with input ``image`` and outputs ``logits``, ``maps``, ``features``, batch size 1."""
    example = torch.zeros(1, 1, size_px, size_px)
    names = {"input_names": ["image"], "output_names": ["logits", "maps", "features"]}
    plain = network.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    program = torch.onnx.export(plain, (example,), dynamo=True, opset_version=_OPSET, verbose=False, **names)
    assert program is not None
    program.save(str(target), external_data=False)
    onnx.save(without_traces(onnx.load(target)), target)
