"""A complete, valid model pack that is made in a moment, and pictures it has an opinion about.

Its network compares the upper half of an image with the lower half: bright above is ``urgent``, bright below
``routine``, no difference ``escalate``. The golden set is computed here with numpy, not by a backend.

It also comes with classes that exclude each other: ``findings=CLASSES, activation="softmax"`` knows what is bright
above, what is bright on the left, and what is neither. And ``gated=True`` takes no picture but smooth ones;
``headed=True`` also has a head.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.gate import Gate
from models.head import Head
from models.preprocessing import InputSpec, to_tensor

SIZE_PX = 64
MAP_PX = 8
GAIN = 8.0
FINDING, OTHER_FINDING = "bright_above", "bright_left"
CLASSES = (FINDING, OTHER_FINDING)
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
    findings: Sequence[str] = (FINDING,),
    activation: str = "sigmoid",
    gated: bool = False,
    headed: bool = False,
    **changes: Any,
) -> Path:
    """Write the pack into ``folder`` (made if missing) and return it.

    ``thresholds`` are (routine_below, urgent_from); ``scope`` replaces "any DX or CR"; ``findings`` are some of
    ``CLASSES``; ``changes`` replace other manifest fields, right or wrong.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.onnx").write_bytes(tiny_network(findings=findings, activation=activation))
    (folder / "golden.npz").write_bytes(_golden(findings, activation))
    if gated or headed:
        tiny_gate().save(folder / "gate.npz")
    if headed:
        tiny_head(findings, activation).save(folder / "head.npz")
    bias = [BIAS] * len(_signs(findings, activation))
    lines = {"routine_below": thresholds[0], "urgent_from": thresholds[1]}
    head = {"file": "head.npz", "temperature": TEMPERATURE, "bias": bias, "thresholds": lines}
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
        "findings": list(findings),
        "acts_on": list(findings),
        "activation": activation,
        "temperature": TEMPERATURE,
        "bias": bias,
        "gate": "gate.npz" if gated or headed else None,
        "head": head if headed else None,
        "heat_map_proven": True,
        "thresholds": lines,
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


def tiny_network(gain: float = GAIN, findings: Sequence[str] = (FINDING,), activation: str = "sigmoid") -> bytes:
    """``image (n, 1, 64, 64)`` → ``maps (n, k, 8, 8)`` = pooled × ±gain, ``logits (n, k)`` = their mean.

    A third output, ``features (n, 64)``, is what was pooled.
    """
    signs = gain * _signs(findings, activation)[None]
    step = SIZE_PX // MAP_PX
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[step] * 2, strides=[step] * 2),
        helper.make_node("Mul", ["pooled", "signs"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[2, 3], keepdims=0),
        helper.make_node("Flatten", ["pooled"], ["features"]),
    ]
    shapes = {"logits": [signs.shape[1]], "maps": [*signs.shape[1:]], "features": [MAP_PX**2]}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIZE_PX, SIZE_PX])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name, shape in shapes.items()],
        [numpy_helper.from_array(signs, "signs")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def tiny_gate() -> Gate:
    """Takes pictures whose brightness falls evenly from one side to another, in any strength."""
    fall = np.linspace(1.0, -1.0, MAP_PX, dtype=np.float32)
    axes = np.stack([np.repeat(fall, MAP_PX), np.tile(fall, MAP_PX)])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    zeros, one = np.zeros(MAP_PX**2, dtype=np.float32), np.float32(1.0)
    numbers = {"offset": 0.0, "left_over": 1.0, "least": -1.0, "farthest": 3.0}
    return Gate(
        centre=zeros,
        spread=zeros + one,
        weight=zeros,
        axes=axes,
        variance=np.full(2, 20.0, dtype=np.float32),
        **{name: np.array(number, dtype=np.float32) for name, number in numbers.items()},
    )


def tiny_head(findings: Sequence[str] = (FINDING,), activation: str = "sigmoid") -> Head:
    """Makes of the features what the network makes of the picture, as far as a byte for each allows."""
    step = np.float32(2.0 / 255)
    weight = (GAIN * _signs(findings, activation).reshape(-1, MAP_PX**2).T / MAP_PX**2).astype(np.float32)
    ones = np.ones(MAP_PX**2, dtype=np.float32)
    return Head(-ones, ones * step, weight * step, -weight.sum(axis=0))


def expected_probability(tensor: NDArray[np.float32], gain: float = GAIN) -> float:
    """What the pack must say about one ``(1, 1, 64, 64)`` tensor, by numpy."""
    return float(expected_probabilities(tensor, gain=gain)[0])


def expected_probabilities(
    tensor: NDArray[np.float32], findings: Sequence[str] = (FINDING,), activation: str = "sigmoid", gain: float = GAIN
) -> NDArray[np.float64]:
    """What every output of the pack must say about one ``(1, 1, 64, 64)`` tensor, by numpy."""
    step = SIZE_PX // MAP_PX
    pooled = tensor[0, 0].astype(np.float64).reshape(MAP_PX, step, MAP_PX, step).mean(axis=(1, 3))
    scaled = gain * (_signs(findings, activation) * pooled).mean(axis=(1, 2)) / TEMPERATURE + BIAS
    if activation == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(-scaled)))
    return np.asarray(np.exp(scaled) / np.exp(scaled).sum())


def _signs(findings: Sequence[str], activation: str) -> NDArray[np.float32]:
    """``(k, 8, 8)`` of ±1: what each output looks at. The normal class is for what is bright below and right."""
    above = np.where(np.arange(MAP_PX) < MAP_PX // 2, 1.0, -1.0).astype(np.float32)
    patterns = {
        FINDING: np.repeat(above[:, None], MAP_PX, axis=1),
        OTHER_FINDING: np.repeat(above[None], MAP_PX, axis=0),
    }
    chosen = [patterns[name] for name in findings]
    neither = [-(patterns[FINDING] + patterns[OTHER_FINDING]) / 2] if activation == "softmax" else []
    return np.stack([*neither, *chosen])


def _golden(findings: Sequence[str], activation: str) -> bytes:
    says: tuple[Says, ...] = ("urgent", "routine", "escalate")
    images = np.concatenate([to_tensor(picture(one), InputSpec(size_px=SIZE_PX)) for one in says])
    each = [expected_probabilities(image[None], findings, activation) for image in images]
    buffer = io.BytesIO()
    passed = np.ones(len(images), bool)
    np.savez(buffer, image=images, probability=np.stack(each).astype(np.float32), passed=passed)
    return buffer.getvalue()
