"""Runs the very ONNX file that ships over many pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.metrics import roc_auc_score

from hardware.openvino_session import open_openvino
from models.preprocessing import InputSpec, to_tensor

Numbers = NDArray[np.float64]
console = Console(stderr=True)


@dataclass(frozen=True, eq=False)
class Scored:
    """``logits (n, k)`` float64 and ``features (n, f)`` float32 of ``n`` pictures; ``f`` is 0 without that output."""

    logits: Numbers
    features: NDArray[np.float32]


def score(network: Path, pixels: NDArray[np.uint8], spec: InputSpec, what: str) -> Scored:
    """Run a network over ``(n, s, s)`` 8-bit squares, one at a time as on the box, on OpenVINO's CPU device."""
    session = open_openvino(network)
    logits, features = [], []
    for picture in track(pixels, description=what, console=console, transient=True):
        outputs = session.run(to_tensor(picture, spec))
        logits.append(outputs["logits"][0].astype(np.float64))
        features.append(outputs.get("features", np.zeros((1, 0), np.float32))[0])
    return Scored(np.stack(logits), np.stack(features))


def macro_auc(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Mean over the outputs of the AUC of each against the rest; outputs stand for the last classes."""
    first = int(scores.shape[1] == 1)
    columns = range(scores.shape[1])
    return float(np.mean([roc_auc_score(labels == column + first, scores[:, column]) for column in columns]))
