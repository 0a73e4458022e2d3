"""The recipe of the pack ``cxr-pneumonia-paediatric``: box (INT8, distilled) and cloud (FP32, full).

    make lab
    python -m models.recipes.cxr_pneumonia_paediatric --images DIR --labels CSV --out models/packs

``CSV`` has the columns ``file,label,cause,patient``; the images are those of Kermany, Zhang and Goldbaum (2018). The
split is by patient. Epochs, thresholds and calibration are chosen on the calibration part alone; the test part is
measured once, at the end, with the very files that ship. Two cores need about 40 minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from hardware.onnxruntime_session import open_onnxruntime
from models.decision import Decision, Finding, Thresholds, decide
from models.evaluation import auc, bootstrap_interval, evaluate
from models.preprocessing import InputSpec, to_tensor
from models.recipes.augmentation import HARD_VERSIONS
from models.recipes.card import card_text
from models.recipes.export import export_onnx, quantise
from models.recipes.labelled_images import LabelledImages, Part, load_parts
from models.recipes.network import MapClassifier
from models.recipes.pack_folder import write_pack
from models.recipes.thresholds import Bound, highest_routine_threshold, lowest_urgent_threshold, platt
from models.recipes.training import Schedule, train
from models.synthetic import SyntheticChest

NAME, VERSION, FINDING = "cxr-pneumonia-paediatric", "0.1.0", "pneumonia"
ROUTINE_BOUND, URGENT_BOUND = Bound(share=0.05), Bound(share=0.05)
SPEC = InputSpec()
FULL_PLAN = Schedule(epochs=5, frozen_blocks=5)
LIGHT_PLAN = Schedule(epochs=6, frozen_blocks=3)
SCOPE = {
    "modalities": ["CR", "DX"],
    "body_parts": ["CHEST"],
    "views": ["AP"],
    "age_years": [1, 5],
    "min_side_px": 200,
    "photometric_interpretations": ["MONOCHROME1", "MONOCHROME2"],
}
Scores = NDArray[np.float64]
console = Console(stderr=True)


@dataclass(frozen=True)
class Measured:
    """Logits and labels of one part, from the ONNX file that ships."""

    logits: Scores
    labels: Scores


def train_both(parts: dict[Part, LabelledImages]) -> tuple[MapClassifier, MapClassifier]:
    """The full network first, then the light one towards it; both on the same two parts."""
    torch.manual_seed(20261)
    pair = (parts["train"], parts["calibration"])
    full, full_aucs = train(MapClassifier(2, 1), pair, SPEC, FULL_PLAN)
    console.print("full network, calibration part", full_aucs)
    torch.manual_seed(20262)
    light, light_aucs = train(MapClassifier(0, 1), pair, SPEC, LIGHT_PLAN, teacher=full)
    console.print("light network, calibration part", light_aucs)
    return full, light


def logits_of(network: Path, pixels: NDArray[np.uint8], what: str) -> Scores:
    """``(n,)`` logits of an ONNX file on ONNX Runtime for ``(n, s, s)`` pictures."""
    session = open_onnxruntime(network)
    found = [session.run(to_tensor(p, SPEC))["logits"][0, 0] for p in track(pixels, description=what, console=console)]
    return np.array(found, dtype=np.float64)


def measure(network: Path, part: LabelledImages, what: str) -> Measured:
    """Run the shipped file over a part."""
    return Measured(logits_of(network, part.pixels, what), part.labels.astype(np.float64))


def hard_versions(network: Path, part: LabelledImages) -> dict[str, Measured]:
    """The calibration part once more for each hard version; every second image, to keep the time bearable."""
    rng, half, found = np.random.default_rng(0), part.every(2), {}
    for name, change in HARD_VERSIONS.items():
        changed = np.stack([change(image, rng) for image in half.pixels])
        found[name] = Measured(logits_of(network, changed, name), half.labels.astype(np.float64))
    return found


def choose_thresholds(plain: Measured, hard: dict[str, Measured]) -> dict[str, Any]:
    """Calibration and thresholds: the bound with confidence on the part as it is, and by count on every hard one."""
    temperature, bias = platt(plain.logits, plain.labels)

    def probability(logits: Scores) -> Scores:
        return 1.0 / (1.0 + np.exp(-(logits / temperature + bias)))

    scores = probability(plain.logits)
    routine = highest_routine_threshold(scores, plain.labels, ROUTINE_BOUND)
    urgent = lowest_urgent_threshold(scores, plain.labels, URGENT_BOUND)
    for part in hard.values():
        routine = _lowered(routine, probability(part.logits), part.labels)
        urgent = 1.0 - _lowered(1.0 - urgent, 1.0 - probability(part.logits), 1.0 - part.labels)
    # Even odds are the limit on both sides: nothing likely is routine, nothing unlikely urgent.
    return {
        "temperature": temperature,
        "bias": bias,
        "routine_below": min(routine, 0.5),
        "urgent_from": max(urgent, 0.5),
    }


def _lowered(threshold: float, scores: Scores, labels: Scores) -> float:
    """The highest threshold up to the given one that also holds the bound, by count, on these scores."""
    below = np.unique(np.append(scores[scores < threshold], threshold))[::-1]
    for candidate in below:
        decided = scores < candidate
        if labels[decided].sum() <= ROUTINE_BOUND.share * decided.sum():
            return float(candidate)
    return 0.0


def figures(measured: Measured, chosen: dict[str, Any]) -> dict[str, Any]:
    """What the card reports about one part."""
    scores = 1.0 / (1.0 + np.exp(-(measured.logits / chosen["temperature"] + chosen["bias"])))
    labels = measured.labels.astype(np.int_)
    thresholds = Thresholds(routine_below=chosen["routine_below"], urgent_from=chosen["urgent_from"])
    decisions = [decide([Finding(FINDING, float(score))], thresholds) for score in scores]
    found = {name: value for name, value in asdict(evaluate(labels, scores, decisions)).items() if value is not None}
    interval = bootstrap_interval(auc, labels, scores, np.random.default_rng(0))
    routine = np.array([decision is Decision.routine for decision in decisions])
    urgent = np.array([decision is Decision.urgent for decision in decisions])
    counts = {
        "routine": int(routine.sum()),
        "missed_among_routine": int(labels[routine].sum()),
        "urgent": int(urgent.sum()),
        "false_among_urgent": int((1 - labels[urgent]).sum()),
    }
    rounded = {name: round(value, 4) for name, value in found.items()}
    return rounded | {"auc_95": [round(end, 4) for end in interval or ()]} | counts


def golden_images() -> NDArray[np.float32]:
    """Eight synthetic radiographs from clear to ill as network inputs ``(8, 1, s, s)``."""
    chest = SyntheticChest()
    return np.concatenate([to_tensor(chest.draw(step / 7, seed=900 + step), SPEC) for step in range(8)])


def build_pack(
    folder: Path, network: Path, parts: dict[Part, LabelledImages], role: str, fp32: Path | None
) -> dict[str, Any]:
    """Calibrate, measure and write one pack; ``fp32`` is the unquantised twin to compare with."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(network, folder / "network.onnx")
    calibration = parts["calibration"]
    plain = measure(network, calibration, "calibration")
    chosen = choose_thresholds(plain, hard_versions(network, calibration))
    tested = measure(network, parts["test"], "test")
    figured: dict[str, Any] = {"calibration": figures(plain, chosen), "test": figures(tested, chosen)}
    if fp32 is not None:
        twin = logits_of(fp32, parts["test"].pixels, "test FP32")
        figured["test"]["fp32_auc"] = round(auc(tested.labels.astype(np.int_), twin) or 0.0, 4)
    images = golden_images().astype(np.float16).astype(np.float32)
    session = open_onnxruntime(network)
    raw = np.stack([session.run(image[None])["logits"][0] for image in images]).astype(np.float64)
    golden = 1.0 / (1.0 + np.exp(-(raw / chosen["temperature"] + chosen["bias"])))
    manifest = {
        "schema_version": 1,
        "name": NAME if role == "box" else f"{NAME}-full",
        "version": VERSION,
        "task": NAME,
        "role": role,
        "precision": "int8" if role == "box" else "fp32",
        "network": "network.onnx",
        "input": SPEC.model_dump(),
        "scope": SCOPE,
        "findings": [FINDING],
        "temperature": chosen["temperature"],
        "bias": chosen["bias"],
        "thresholds": {"routine_below": chosen["routine_below"], "urgent_from": chosen["urgent_from"]},
        "figures": figured,
        "calibration": {
            "files_sha256": hashlib.sha256("\n".join(sorted(calibration.files)).encode()).hexdigest(),
            "images": len(calibration),
            "bound": {"share": ROUTINE_BOUND.share, "confidence": ROUTINE_BOUND.confidence},
            "expected_coverage": figured["calibration"]["coverage"],
        },
        "licence": "Apache-2.0; trained on data under CC BY 4.0 (Kermany, Zhang, Goldbaum 2018)",
        "intended_use": "Research use only, not for diagnosis. Triage of AP chest radiographs of children of 1 to 5 "
        "years for opacities typical of pneumonia.",
        "golden_tolerance": 0.06 if role == "box" else 0.01,
    }
    write_pack(folder, manifest, (images, golden), card_text(manifest))
    console.print(folder.name, figured)
    return figured


def main() -> None:
    """Rebuild both packs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of the labelled images")
    parser.add_argument("--labels", type=Path, required=True, help="CSV: file,label,cause,patient")
    parser.add_argument("--out", type=Path, required=True, help="folder to write both packs into")
    parser.add_argument("--weights", type=Path, help="folder with full.pt and light.pt of an earlier run: no training")
    arguments = parser.parse_args()
    parts = load_parts(arguments.images, arguments.labels, SPEC.size_px, "normal")
    if arguments.weights:
        full, light = MapClassifier(2, 1), MapClassifier(0, 1)
        full.load_state_dict(torch.load(arguments.weights / "full.pt"))
        light.load_state_dict(torch.load(arguments.weights / "light.pt"))
    else:
        full, light = train_both(parts)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        export_onnx(full, SPEC.size_px, work / "full.onnx")
        export_onnx(light, SPEC.size_px, work / "light.onnx")
        pixels = parts["train"].pixels[:: len(parts["train"]) // 300]
        tensors = np.concatenate([to_tensor(p, SPEC) for p in pixels])
        quantise(work / "light.onnx", work / "light-int8.onnx", tensors)
        build_pack(arguments.out / f"{NAME}-full", work / "full.onnx", parts, "cloud", None)
        build_pack(arguments.out / NAME, work / "light-int8.onnx", parts, "box", work / "light.onnx")


if __name__ == "__main__":
    main()
