"""``scanside evaluate``: a pack on labelled images, figure by figure as the contract names them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from models import evaluation
from models.decision import Decision, decide
from models.errors import CannotTriage, PackRejected
from models.opening import open_runner
from models.pack import ModelPack, load_pack
from models.pictures import dataset_from_picture
from models.pixels import PixelLimits, grey_image, open_dicom
from models.registry import SHIPPED, Registry
from models.runner import PackRunner

_PICTURES = {".png", ".jpg", ".jpeg"}


def evaluate_pack(name: str, images: Path, labels: Path, normal: str, settings: Settings) -> dict[str, Any]:
    """Run one pack over every listed image.

    The pack's scope is not asked here: the labels say what the images are. Images that cannot be decoded are counted
    in ``unreadable`` and left out of every figure.
    """
    pack = _find(name, settings)
    runner = open_runner(pack, None).runner
    rows = _rows(labels)
    limits = PixelLimits(settings.limits.max_pixels, settings.limits.max_decoded_bytes)
    scores, truth, decisions, unreadable = [], [], [], 0
    for file, label in track(rows, description="evaluating", console=Console(stderr=True)):
        try:
            found = _read(runner, images / file, limits)
        except CannotTriage:
            unreadable += 1
            continue
        scores.append(max(f.probability for f in found.findings))
        decisions.append(decide(found.findings, pack.manifest.thresholds))
        truth.append(float(label != normal))
    if not scores:
        raise ConfigurationInvalid(str(labels), ("no listed image could be read; is --images the right folder?",))
    return _figures(pack, np.array(scores), np.array(truth), decisions) | {"unreadable": unreadable}


def _figures(pack: ModelPack, scores: Any, truth: Any, decisions: list[Decision]) -> dict[str, Any]:
    routine = np.array([d is Decision.routine for d in decisions])
    urgent = np.array([d is Decision.urgent for d in decisions])
    figures: dict[str, Any] = {
        "pack": f"{pack.manifest.name} {pack.manifest.version}",
        "n": len(scores),
        "auc": evaluation.auc(scores, truth),
        "auc_95": list(evaluation.bootstrap_interval(evaluation.auc, scores, truth)),
        "accuracy": evaluation.accuracy(scores, truth),
        "sensitivity": evaluation.sensitivity(scores, truth),
        "specificity": evaluation.specificity(scores, truth),
        "coverage": evaluation.coverage(routine | urgent),
        "selective_error": evaluation.selective_error(routine, urgent, truth),
        "ece": evaluation.ece(scores, truth),
        "fp32_auc": pack.manifest.figures.get("test", {}).get("fp32_auc"),
    }
    return {name: _rounded(value) for name, value in figures.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def _read(runner: PackRunner, path: Path, limits: PixelLimits) -> Any:
    dataset = dataset_from_picture(path, {}) if path.suffix.lower() in _PICTURES else open_dicom(path)
    return runner.read(grey_image(dataset, limits))


def _find(name: str, settings: Settings) -> ModelPack:
    try:
        if (Path(name) / "manifest.json").exists():
            return load_pack(Path(name))
    except PackRejected as rejected:
        raise ConfigurationInvalid(name, (str(rejected),)) from None
    registry = Registry([SHIPPED] + ([settings.triage.packs] if settings.triage.packs else []))
    packs = {p.manifest.name: p for p in [*registry.packs("box"), *registry.packs("cloud")]}
    if name not in packs:
        known = ", ".join(packs) or "none"
        raise ConfigurationInvalid("command line", (f"there is no pack {name!r}; there are {known}",))
    return packs[name]


def _rows(labels: Path) -> list[tuple[str, str]]:
    try:
        with labels.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return [(row["file"], row["label"]) for row in rows]
    except OSError as error:
        raise ConfigurationInvalid(str(labels), (f"cannot be read: {error.strerror}",)) from None
    except KeyError as missing:
        raise ConfigurationInvalid(str(labels), (f"needs the columns file,label; {missing} is missing",)) from None

