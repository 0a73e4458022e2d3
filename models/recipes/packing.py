"""One pack from one ONNX file: its gate, its calibration, its lines, its figures, its card."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from hardware.openvino_session import open_openvino
from models.answers import answer, truth_of
from models.evaluation import Evaluation, evaluate, flat
from models.gate import FEATURES, Gate
from models.golden import GoldenSet
from models.manifest import SCHEMA_VERSION, Role
from models.measures import auc
from models.pack import load_pack
from models.preprocessing import to_tensor
from models.recipes.calibration import (
    Calibration,
    Known,
    bounds,
    calibrate,
    choose_thresholds,
    digest_of,
    is_abnormal,
)
from models.recipes.card import card_text
from models.recipes.gate_fitting import MILD, SPOILED, Pictures, changed, fit_gate, refused_share
from models.recipes.golden_pictures import golden_pictures
from models.recipes.labelled_images import LabelledImages, Part
from models.recipes.pack_folder import GATE, write_pack
from models.recipes.scoring import Scored, console, score
from models.recipes.task import Task
from models.robustness import robustness
from models.runner import PackRunner

#: How many pictures of a part are enough for one question; more only take longer.
_GATE_IMAGES = 700
_SPOILED_IMAGES = 150
_FOREIGN_IMAGES = 1500
_ORDERING_IMAGES = 800
_HARD_IMAGES = 450
_QUANTISING_IMAGES = 300
_ROBUSTNESS_IMAGES = 200


@dataclass(frozen=True, eq=False)
class Material:
    """What a pack is made from: the task, its labelled pictures by part, and pictures of other kinds by part."""

    task: Task
    parts: dict[Part, LabelledImages]
    foreign: dict[Part, NDArray[np.uint8]]


def quantising_tensors(material: Material) -> NDArray[np.float32]:
    """About 300 train images as network inputs ``(n, 1, s, s)``, to calibrate activations with."""
    train = material.parts["train"]
    some = train.every(max(1, len(train) // _QUANTISING_IMAGES))
    return np.concatenate([to_tensor(picture, material.task.spec) for picture in some.pixels])


def build_pack(
    folder: Path, material: Material, network: Path, role: Role, further: dict[str, Any], fp32: Path | None = None
) -> None:
    """Write one pack into ``folder``; ``fp32`` is the unquantised twin to report beside it."""
    task, parts = material.task, material.parts
    console.rule(folder.name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(network, folder / "network.onnx")
    plain = score(network, parts["calibration"].pixels, task.spec, "calibration part")
    known = Known(plain.logits, parts["calibration"].labels)
    calibration = calibrate(known, task)
    missed, _ = bounds(task)
    thresholds, plain_lines = choose_thresholds(
        calibration, known, ordering(network, material), hard(network, material)
    )
    gate, gate_figures = _fitted_gate(network, material)
    gate.save(folder / GATE)
    manifest = _manifest(material, role, calibration) | {
        "thresholds": thresholds.model_dump(),
        "calibration": {
            "images_sha256": digest_of(parts["calibration"].files, parts["calibration"].labels),
            "images": len(parts["calibration"]),
            "bound": {"missed": task.missed, "false_alarms": task.false_alarms, "confidence": missed.confidence},
            "prevalence": round(task.prevalence, 4),
            "lines_before_hard_versions": plain_lines,
        },
    }
    golden = _golden(network, calibration, gate)
    write_pack(folder, manifest, golden, "")
    on_calibration = evaluated(folder, parts["calibration"], task)
    manifest["calibration"]["expected_coverage"] = round(on_calibration.figures.coverage or 0.0, 4)
    figures: dict[str, Any] = {
        "calibration": flat(on_calibration),
        "test": flat(evaluated(folder, parts["test"], task)),
    }
    if fp32 is not None:
        figures["test"]["fp32_auc"] = round(_twin_auc(fp32, calibration, parts["test"]), 4)
    if role == "box":
        figures["robustness"] = _robustness(folder, material)
    manifest["figures"] = figures | {"gate": gate_figures} | further
    write_pack(folder, manifest, golden, card_text(manifest, task))
    console.print(figures["test"], gate_figures)


def evaluated(folder: Path, part: LabelledImages, task: Task) -> Evaluation:
    """The pack as it lies in ``folder`` on one part, with intervals over groups where the data name them."""
    pack = load_pack(folder)
    runner = PackRunner(pack, open_openvino(pack.network))
    truths = [truth_of(task.classes[label], pack.manifest) for label in part.labels]
    answers = [answer(runner, pixels.astype(np.float32)) for pixels in part.pixels]
    groups = [row[task.group] for row in part.rows] if task.group else None
    return evaluate(pack.manifest, truths, answers, groups=groups, rng=np.random.default_rng(0))


def _some(pixels: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Every so many of ``(n, s, s)``, at least ``count`` of them if there are that many."""
    return pixels[:: max(1, len(pixels) // count)]


def ordering(network: Path, material: Material) -> Known:
    """Train pictures, changed as they never were in training, to fix the order in which lines are tested."""
    train = material.parts["train"]
    some = train.every(max(1, len(train) // _ORDERING_IMAGES))
    scored = score(network, changed(some.pixels, MILD, 3), material.task.spec, "order of the lines")
    return Known(scored.logits, some.labels)


def hard(network: Path, material: Material) -> dict[str, Known]:
    """The calibration part, or some of it, in every mild change."""
    whole = material.parts["calibration"]
    part = whole.every(max(1, len(whole) // _HARD_IMAGES))
    versions = {name: changed(part.pixels, {name: change}, 0) for name, change in MILD.items()}
    spec = material.task.spec
    return {name: Known(score(network, pixels, spec, name).logits, part.labels) for name, pixels in versions.items()}


def _fitted_gate(network: Path, material: Material) -> tuple[Gate, dict[str, Any]]:
    """Fit on the train part, set its lines on the calibration part, count on the test part what it refuses."""
    spec, parts, foreign = material.task.spec, material.parts, material.foreign

    def seen(pixels: NDArray[np.uint8], what: str) -> NDArray[np.float32]:
        return score(network, pixels, spec, f"gate: {what}").features

    train = _some(parts["train"].pixels, _GATE_IMAGES)
    intended = np.concatenate([seen(train, "as they are"), seen(changed(train, MILD, 1), "mildly changed")])
    others = [
        seen(changed(_some(train, 2 * _SPOILED_IMAGES), {name: spoil}, 2), name) for name, spoil in SPOILED.items()
    ]
    if len(foreign["train"]):
        others.append(seen(_some(foreign["train"], _FOREIGN_IMAGES), "other kinds"))
    held = _some(parts["calibration"].pixels, _GATE_IMAGES)
    has_to_pass = np.concatenate([seen(held, "calibration"), seen(changed(held, MILD, 4), "calibration, mild")])
    gate = fit_gate(Pictures(intended, np.concatenate(others)), has_to_pass)
    tested = parts["test"].pixels
    figures: dict[str, Any] = {"accepted_test": 1 - refused_share(gate, seen(tested, "test part"))}
    for name, spoil in SPOILED.items():
        spoiled = changed(_some(tested, _SPOILED_IMAGES), {name: spoil}, 5)
        figures[f"refused {name}"] = refused_share(gate, seen(spoiled, name))
    if len(foreign["test"]):
        figures["refused other kinds"] = refused_share(gate, seen(foreign["test"], "other kinds"))
    return gate, {name: round(share, 4) for name, share in figures.items()}


def _robustness(folder: Path, material: Material) -> list[dict[str, Any]]:
    """The robustness report of the pack in ``folder`` on part of the test part, enlarged as the scope asks."""
    task, whole = material.task, material.parts["test"]
    some = whole.every(max(1, len(whole) // _ROBUSTNESS_IMAGES))
    pack = load_pack(folder)
    runner = PackRunner(pack, open_openvino(pack.network))
    labelled = [(pixels, task.classes[label]) for pixels, label in zip(some.pixels, some.labels, strict=True)]
    rows = robustness(runner, labelled, track=lambda steps, what: track(steps, description=what, console=console))
    return [{name: _rounded(value) for name, value in row.items()} for row in rows]


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _twin_auc(fp32: Path, calibration: Calibration, part: LabelledImages) -> float:
    """The contract's AUC of the unquantised twin: the mean over classes of each against the rest."""
    scored: Scored = score(fp32, part.pixels, calibration.task.spec, "FP32 twin")
    chances = calibration.probabilities(scored.logits)
    if calibration.task.activation == "sigmoid":
        return auc(is_abnormal(part.labels, calibration.task), chances[:, 0]) or 0.0
    each = [auc(part.labels == index, chances[:, index]) for index in range(chances.shape[1])]
    return float(np.mean([value for value in each if value is not None]))


def _golden(network: Path, calibration: Calibration, gate: Gate) -> GoldenSet:
    """Of each step the drawing furthest inside the gate; where none is inside, the one furthest outside.

    So every backend has to see them on the same side.
    """
    task, session, chosen = calibration.task, open_openvino(network), []
    for drawings in golden_pictures(task.name):
        tensors = np.concatenate([to_tensor(picture, task.spec) for picture in drawings])
        images = (np.rint((tensors + 1.0) * 127.5) / 127.5 - 1.0).astype(np.float32)  # 256 values pack well
        outputs = [session.run(image[None]) for image in images]
        inside = gate.inside(np.concatenate([output[FEATURES] for output in outputs]))
        taken = int(inside.argmax() if inside.max() >= 0.0 else inside.argmin())
        chosen.append((images[taken], outputs[taken]["logits"][0], inside[taken] >= 0.0))
    pictures, logits, passed = (np.stack(column) for column in zip(*chosen, strict=True))
    return GoldenSet(pictures, calibration.probabilities(logits.astype(np.float64)), passed)


def _manifest(material: Material, role: Role, calibration: Calibration) -> dict[str, Any]:
    task = material.task
    return {
        "schema_version": SCHEMA_VERSION,
        "name": task.name if role == "box" else f"{task.name}-full",
        "version": task.version,
        "task": task.name,
        "role": role,
        "precision": "int8" if role == "box" else "fp32",
        "network": "network.onnx",
        "input": task.spec.model_dump(),
        "scope": task.scope,
        "normal": task.classes[0],
        "findings": task.findings,
        "acts_on": task.acts_on,
        "activation": task.activation,
        "temperature": calibration.temperature,
        "bias": calibration.bias,
        "gate": GATE,
        "heat_map_proven": role == "box" and task.heat_map_proven,
        "licence": task.words.licence,
        "intended_use": task.words.intended_use,
        "golden_tolerance": 0.06 if role == "box" else 0.01,
    }
