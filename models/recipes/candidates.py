"""Which small network the box gets: each candidate quantised, then compared on the calibration part alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.choice import measure
from hardware.openvino_session import open_openvino
from models.calibrated import sigmoid, softmax
from models.recipes.augmentation import HARD_VERSIONS
from models.recipes.calibration import Known, calibrate, choose_thresholds
from models.recipes.gate_fitting import changed
from models.recipes.labelled_images import LabelledImages
from models.recipes.packing import Material, hard, ordering, quantising_tensors
from models.recipes.quantisation import quantise, round_weights
from models.recipes.scoring import Numbers, console, macro_auc, score
from models.recipes.task import Task

#: Candidates that settle fewer images than the best one are out of the race, unless it is by no more than this.
SETTLED_WORTH = 0.01
#: So are those that name fewer images rightly, by more than this.
RIGHT_WORTH = 0.01
#: A smaller network is taken if its worst AUC is lower by no more than this.
WORTH = 0.002
#: Of a larger part every second image is enough for one hard version.
_HARD_IMAGES = 700


@dataclass(frozen=True)
class Candidate:
    """One small network as FP32 and, once quantised, as INT8."""

    architecture: str
    fp32: Path
    int8: Path


def choose_light(found: list[Candidate], material: Material) -> tuple[Candidate, list[dict[str, Any]]]:
    """Quantise all, compare all. Returns the one for the box and the table of all."""
    tensors = quantising_tensors(material)
    table = []
    for candidate in found:
        quantise(candidate.fp32, candidate.int8, tensors)
        table.append(_compared(candidate, material, tensors[:1]))
    console.print(table)
    chosen = chosen_of(table)
    return found[chosen], [row | {"chosen": index == chosen} for index, row in enumerate(table)]


def chosen_of(table: list[dict[str, Any]]) -> int:
    """Which row is for the box.

    What the box is for comes first: the share it settles under the bound. Among those that settle as much accuracy
    decides, then the worst AUC on hard versions, and among those as good the size.
    """
    settling = _within(list(range(len(table))), [row["int8_coverage"] for row in table], SETTLED_WORTH)
    right = _within(settling, [row["int8_accuracy"] for row in table], RIGHT_WORTH)
    good = _within(right, [row["worst_int8_auc"] for row in table], WORTH)
    return min(good, key=lambda index: int(table[index]["int8_bytes"]))


def _within(indices: list[int], values: list[float], margin: float) -> list[int]:
    """Those of ``indices`` whose value is the best of theirs, or lower by no more than ``margin``."""
    best = max(values[index] for index in indices)
    return [index for index in indices if values[index] >= best - margin]


def _compared(candidate: Candidate, material: Material, example: NDArray[np.float32]) -> dict[str, Any]:
    task, part = material.task, material.parts["calibration"]
    four = candidate.int8.with_name("four-bit.onnx")
    row: dict[str, Any] = {"architecture": candidate.architecture, "int8_bytes": candidate.int8.stat().st_size}
    row["int4_bytes"] = round_weights(candidate.fp32, four)
    row["fp32_bytes"] = candidate.fp32.stat().st_size
    for name, network in (("fp32", candidate.fp32), ("int8", candidate.int8), ("int4", four)):
        row[f"{name}_auc"] = round(_auc(network, part.pixels, part, task), 4)
    row["int8_accuracy"], row["int8_coverage"] = (round(x, 4) for x in _right_and_settled(candidate.int8, material))
    row["worst_int8_auc"] = round(min(hard_int8_aucs(candidate.int8, part, task).values()), 4)
    for name, network in (("fp32", candidate.fp32), ("int8", candidate.int8)):
        row[f"{name}_ms"] = round(measure(open_openvino(network, threads=2), example, 40).latency_ms_median, 2)
    return row


def hard_int8_aucs(network: Path, part: LabelledImages, task: Task) -> dict[str, float]:
    """Macro AUC of an ONNX file on each hard version of a part, or of every second image of a large one."""
    some = part.every(2 if len(part) > _HARD_IMAGES else 1)
    versions = {name: changed(some.pixels, {name: change}, 0) for name, change in HARD_VERSIONS.items()}
    return {name: _auc(network, pixels, some, task) for name, pixels in versions.items()}


def _right_and_settled(network: Path, material: Material) -> tuple[float, float]:
    """Of the calibration part: the share named rightly, and the share on the outer sides of this network's lines."""
    task, part = material.task, material.parts["calibration"]
    known = Known(score(network, part.pixels, task.spec, network.stem).logits, part.labels)
    calibration = calibrate(known, task)
    lines, _ = choose_thresholds(calibration, known, ordering(network, material), hard(network, material))
    scores, chances = calibration.abnormality(known.logits), calibration.probabilities(known.logits)
    named = chances.argmax(axis=1) if task.activation == "softmax" else (chances[:, 0] >= 0.5).astype(np.int64)
    right = float((named == part.labels).mean())
    return right, float(((scores < lines.routine_below) | (scores >= lines.urgent_from)).mean())


def _auc(network: Path, pixels: NDArray[np.uint8], part: LabelledImages, task: Task) -> float:
    logits: Numbers = score(network, pixels, task.spec, network.stem).logits
    return macro_auc(part.labels, sigmoid(logits) if task.activation == "sigmoid" else softmax(logits))
