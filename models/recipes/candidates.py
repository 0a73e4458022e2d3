"""Which small network the box gets: each candidate quantised, then compared on the calibration part alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.choice import measure
from hardware.openvino_session import open_openvino
from models.recipes.augmentation import HARD_VERSIONS
from models.recipes.gate_fitting import changed
from models.recipes.labelled_images import LabelledImages
from models.recipes.packing import Material, quantising_tensors
from models.recipes.quantisation import quantise, round_weights
from models.recipes.scoring import Numbers, console, macro_auc, score
from models.recipes.task import Task
from models.runner import sigmoid, softmax

#: A smaller network is taken if its worst AUC is lower by no more than this.
WORTH = 0.002


@dataclass(frozen=True)
class Candidate:
    """One small network as FP32 and, once quantised, as INT8."""

    architecture: str
    fp32: Path
    int8: Path


def choose_light(found: list[Candidate], material: Material) -> tuple[Candidate, list[dict[str, Any]]]:
    """Quantise all, compare all; the first unless a smaller one is as good. Returns it and the table of all."""
    task, part = material.task, material.parts["calibration"]
    tensors = quantising_tensors(material)
    table = []
    for candidate in found:
        quantise(candidate.fp32, candidate.int8, tensors)
        table.append(_compared(candidate, part, task, tensors[:1]))
    console.print(table)
    best = max(row["worst_int8_auc"] for row in table)
    good = [i for i, row in enumerate(table) if row["worst_int8_auc"] >= best - WORTH]
    chosen = min(good, key=lambda index: table[index]["int8_bytes"])
    return found[chosen], [row | {"chosen": index == chosen} for index, row in enumerate(table)]


def _compared(candidate: Candidate, part: LabelledImages, task: Task, example: NDArray[np.float32]) -> dict[str, Any]:
    four = candidate.int8.with_name("four-bit.onnx")
    row: dict[str, Any] = {"architecture": candidate.architecture, "int8_bytes": candidate.int8.stat().st_size}
    row["int4_bytes"] = round_weights(candidate.fp32, four)
    row["fp32_bytes"] = candidate.fp32.stat().st_size
    for name, network in (("fp32", candidate.fp32), ("int8", candidate.int8), ("int4", four)):
        row[f"{name}_auc"] = round(_auc(network, part.pixels, part, task), 4)
    row["worst_int8_auc"] = round(min(hard_int8_aucs(candidate.int8, part, task).values()), 4)
    for name, network in (("fp32", candidate.fp32), ("int8", candidate.int8)):
        row[f"{name}_ms"] = round(measure(open_openvino(network, threads=2), example, 40).latency_ms_median, 2)
    return row


def hard_int8_aucs(network: Path, part: LabelledImages, task: Task) -> dict[str, float]:
    """Macro AUC of an ONNX file on each hard version of every second image of a part."""
    half = part.every(2)
    versions = {name: changed(half.pixels, {name: change}, 0) for name, change in HARD_VERSIONS.items()}
    return {name: _auc(network, pixels, half, task) for name, pixels in versions.items()}


def _auc(network: Path, pixels: NDArray[np.uint8], part: LabelledImages, task: Task) -> float:
    logits: Numbers = score(network, pixels, task.spec, network.stem).logits
    return macro_auc(part.labels, sigmoid(logits) if task.activation == "sigmoid" else softmax(logits))
