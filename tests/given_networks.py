"""Small classifiers as somebody else would export them, in each way to end, and pictures that they can read.

The convolutions are random and fixed; :func:`trained_head` fits the last layer on pictures that :func:`drawn` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

SIZE_PX = 64
WIDTH = 40
Array = NDArray[np.float32]
#: What a drawn picture shows: nothing, a dense spot, or a hole.
Kind = Literal["normal", "effusion", "other"]
KINDS: tuple[Kind, ...] = ("normal", "effusion", "other")
#: How a network gets from its last feature map to its scores.
Ending = Literal["pool_gemm", "mean_matmul_add", "mean_reshape_gemm", "pool_transposed", "no_pooling"]
ENDINGS: tuple[Ending, ...] = ("pool_gemm", "mean_matmul_add", "mean_reshape_gemm", "pool_transposed", "no_pooling")


@dataclass(frozen=True)
class Form:
    """What differs between exports; ``activation`` is the operator at the very end, if there is one."""

    ending: Ending = "pool_gemm"
    activation: str | None = None
    channels: int = 1
    size_px: int = SIZE_PX
    batch: int | str = "n"
    names: tuple[str, str] = ("image", "logits")
    opset: int = 18


def classifier(form: Form, scores: int = 2, head: tuple[Array, Array] | None = None) -> onnx.ModelProto:
    """``(n, channels, s, s)`` → ``(n, scores)``; ``head`` is weight ``(scores, WIDTH)`` and bias, random if None."""
    rng = np.random.default_rng(7)
    first = _kernels(rng, 20, 1, 7)
    stored = {
        "first": np.repeat(first, form.channels, axis=1) / form.channels,
        "second": _kernels(rng, WIDTH, 20, 5),
    }
    given, found = form.names
    nodes = [
        helper.make_node("Conv", [given, "first"], ["edges"], strides=[2, 2], pads=[3] * 4),
        helper.make_node("Relu", ["edges"], ["seen"]),
        helper.make_node("Conv", ["seen", "second"], ["parts"], strides=[2, 2], pads=[2] * 4),
        helper.make_node("Relu", ["parts"], ["map"]),
    ]
    weight, bias = head or (
        rng.normal(0, 1, (scores, WIDTH)).astype(np.float32),
        rng.normal(0, 1, scores).astype(np.float32),
    )
    last = found if form.activation is None else "last"
    ending, more = _ending(form, weight, bias, last)
    nodes += ending
    if form.activation is not None:
        nodes.append(helper.make_node(form.activation, [last], [found]))
    side = [form.batch, form.channels, form.size_px, form.size_px]
    graph = helper.make_graph(
        nodes,
        "given",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, side)],
        [helper.make_tensor_value_info(found, TensorProto.FLOAT, [form.batch, scores])],
        [numpy_helper.from_array(values, name) for name, values in (stored | more).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", form.opset)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _kernels(rng: np.random.Generator, count: int, depth: int, side: int) -> Array:
    """Random, soft and without a mean, so that each answers to some shape and none to brightness."""
    drawn = rng.normal(0, 1, (count, depth, side, side))
    soft = np.stack([[cv2.GaussianBlur(one, (0, 0), 1.0) for one in kernel] for kernel in drawn])
    soft -= soft.mean(axis=(2, 3), keepdims=True)
    even: Array = (soft / np.sqrt((soft**2).sum(axis=(1, 2, 3), keepdims=True))).astype(np.float32)
    return even


def _ending(form: Form, weight: Array, bias: Array, last: str) -> tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]:
    stored: dict[str, NDArray[Any]] = {"bias": bias}
    if form.ending == "pool_gemm":
        nodes = [
            helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], [last], transB=1),
        ]
        return nodes, stored | {"weight": weight}
    if form.ending == "mean_matmul_add":
        nodes = [
            helper.make_node("ReduceMean", ["map", "axes"], ["flat"], keepdims=0),
            helper.make_node("MatMul", ["flat", "weight"], ["product"]),
            helper.make_node("Add", ["bias", "product"], [last]),
        ]
        return nodes, stored | {"weight": weight.T.copy(), "axes": np.array([2, 3])}
    if form.ending == "mean_reshape_gemm":
        nodes = [
            helper.make_node("ReduceMean", ["map", "axes"], ["pooled"], keepdims=1),
            helper.make_node("Reshape", ["pooled", "shape"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], [last], alpha=0.5, beta=2.0),
        ]
        return nodes, stored | {"weight": weight.T.copy(), "axes": np.array([-1, -2]), "shape": np.array([-1, WIDTH])}
    if form.ending == "pool_transposed":
        nodes = [
            helper.make_node("Constant", [], ["stored"], value=numpy_helper.from_array(weight)),
            helper.make_node("Transpose", ["stored"], ["weight"], perm=[1, 0]),
            helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
            helper.make_node("Squeeze", ["pooled", "axes"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], [last]),
        ]
        return nodes, stored | {"axes": np.array([2, 3])}
    step = form.size_px // 8
    nodes = [
        helper.make_node("AveragePool", ["map"], ["coarse"], kernel_shape=[step] * 2, strides=[step] * 2),
        helper.make_node("Flatten", ["coarse"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], [last], transB=1),
    ]
    return nodes, stored | {"weight": np.repeat(weight, 4, axis=1)}


def drawn(kind: Kind, seed: int, size_px: int = 96) -> NDArray[np.uint8]:
    """A made-up body part ``(s, s)``, the right way up: a cone with ribs on one side, and in it what ``kind`` says."""
    rng = np.random.default_rng(seed)
    canvas = np.full((size_px, size_px), 40.0 + rng.uniform(-8, 8), np.float32)
    middle, tip = size_px * (0.5 + rng.uniform(-0.03, 0.03)), size_px * rng.uniform(0.08, 0.14)
    foot, half = size_px * rng.uniform(0.9, 0.96), size_px * rng.uniform(0.3, 0.36)
    cone = np.array([[middle, tip], [middle + half, foot], [middle - half, foot]]).astype(np.int32)
    cv2.fillConvexPoly(canvas, cone, 130.0 + rng.uniform(-10, 10))
    for height in np.arange(0.35, 0.9, 0.14):
        y = int(size_px * height)
        cv2.line(canvas, (int(middle), y - size_px // 20), (int(middle + half * height), y), 155.0, 2)
    if kind != "normal":
        spot = (int(middle + rng.uniform(-0.1, 0.1) * size_px), int(size_px * rng.uniform(0.6, 0.75)))
        shade = rng.uniform(168, 240) if kind == "effusion" else rng.uniform(10, 100)
        cv2.circle(canvas, spot, int(size_px * rng.uniform(0.08, 0.11)), shade, -1)
    soft = cv2.GaussianBlur(canvas, (0, 0), 1.0) + rng.normal(0, 3, canvas.shape)
    return np.clip(soft, 0, 255).astype(np.uint8)


def trained_head(features: Array, labels: Sequence[str], order: Sequence[str]) -> tuple[Array, Array]:
    """The last layer, weight ``(k, f)`` and bias ``(k,)`` of a softmax over ``order``, fitted on pooled features."""
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit((features - centre) / spread, list(labels))
    rows = [list(fitted.classes_).index(name) for name in order]
    weight = fitted.coef_[rows] / spread
    return weight.astype(np.float32), (fitted.intercept_[rows] - weight @ centre).astype(np.float32)
