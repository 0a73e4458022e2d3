"""A complete, valid model pack that is made in a moment, and pictures it has an opinion about.

Its network compares the upper half of an image with the lower half: bright above is ``urgent``, bright below
``routine``, no difference ``escalate``. The golden set is computed here with numpy, not by a backend.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.preprocessing import InputSpec, to_tensor

SIZE_PX = 64
MAP_PX = 8
GAIN = 8.0
FINDING = "bright_above"
TEMPERATURE, BIAS = 1.5, 0.1
ANY_RADIOGRAPH: dict[str, Any] = {"modalities": ["DX", "CR"]}

#: What :func:`picture` can draw, and what the tiny pack says about it with its default thresholds.
Says = Literal["urgent", "routine", "escalate"]


def picture(says: Says, rows: int = 256, columns: int = 256, bits: int = 12) -> NDArray[np.uint16]:
    """A ``(rows, columns)`` uint16 picture, brighter = denser, on which the tiny pack decides ``says``."""
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    shade = {"urgent": 1.0 - y, "routine": y, "escalate": x}[says]
    stored: NDArray[np.uint16] = (shade * (2**bits - 1)).astype(np.uint16)
    return stored


def write_tiny_pack(
    folder: Path,
    role: str = "box",
    name: str = "tiny",
    thresholds: tuple[float, float] = (0.2, 0.8),
    *,
    scope: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write the pack into ``folder`` (made if missing) and return it.

    ``thresholds`` are (routine_below, urgent_from); ``scope`` replaces "any DX or CR"; ``changes`` replace
    other manifest fields, right or wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.onnx").write_bytes(tiny_network())
    (folder / "golden.npz").write_bytes(_golden())
    manifest = {
        "schema_version": 2,
        "name": name,
        "version": "1.0.0",
        "task": "tiny-task",
        "role": role,
        "precision": "fp32",
        "network": "network.onnx",
        "files": {},
        "input": InputSpec(size_px=SIZE_PX).model_dump(),
        "scope": scope or ANY_RADIOGRAPH,
        "normal": "normal",
        "findings": [FINDING],
        "acts_on": [FINDING],
        "activation": "sigmoid",
        "temperature": TEMPERATURE,
        "bias": [BIAS],
        "thresholds": {"routine_below": thresholds[0], "urgent_from": thresholds[1]},
        "figures": {"auc": 1.0},
        "calibration": {"bound": 0.1},
        "licence": "Apache-2.0",
        "intended_use": "tests only",
        "golden": "golden.npz",
        "golden_tolerance": 0.01,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return change_manifest(folder, **changes)


def change_manifest(folder: Path, **changes: Any) -> Path:
    """Replace fields of the manifest and bring its file digests up to date; returns the folder."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    others = sorted(file for file in folder.iterdir() if file != path)
    manifest["files"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in others}
    path.write_text(json.dumps(manifest | changes), encoding="utf-8")
    return folder


def tiny_network(gain: float = GAIN) -> bytes:
    """``image (n, 1, 64, 64)`` → ``maps (n, 1, 8, 8)`` = pooled × ±gain, ``logits (n, 1)`` = their mean."""
    sign = np.full((1, 1, MAP_PX, MAP_PX), gain, dtype=np.float32)
    sign[:, :, MAP_PX // 2 :] *= -1
    step = SIZE_PX // MAP_PX
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[step] * 2, strides=[step] * 2),
        helper.make_node("Mul", ["pooled", "sign"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[2, 3], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIZE_PX, SIZE_PX])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 1, MAP_PX, MAP_PX]),
        ],
        [numpy_helper.from_array(sign, "sign")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def expected_probability(tensor: NDArray[np.float32], gain: float = GAIN) -> float:
    """What the pack must say about one ``(1, 1, 64, 64)`` tensor, by numpy."""
    upper, lower = np.split(tensor[0, 0].astype(np.float64), 2)
    logit = gain * (upper.mean() - lower.mean()) / 2
    return float(1.0 / (1.0 + np.exp(-(logit / TEMPERATURE + BIAS))))


def _golden() -> bytes:
    says: tuple[Says, ...] = ("urgent", "routine", "escalate")
    images = np.concatenate([to_tensor(picture(one), InputSpec(size_px=SIZE_PX)) for one in says])
    probability = np.array([[expected_probability(image[None])] for image in images], dtype=np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, image=images, probability=probability)
    return buffer.getvalue()
