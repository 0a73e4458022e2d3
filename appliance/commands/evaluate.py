"""``scanside evaluate``: a pack on labelled images, figure by figure as the contract names them."""

from __future__ import annotations

import csv
from dataclasses import asdict
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
from models.pictures import dataset_from_picture, is_picture
from models.pixels import PixelLimits, grey_image, open_dicom
from models.registry import SHIPPED, Registry
from models.runner import PackRunner


def evaluate_pack(name: str, images: Path, labels: Path, normal: str, settings: Settings) -> dict[str, Any]:
    """Run one pack over every listed image.

    The pack's scope is not asked here: the labels say what the images are. An image that cannot be decoded counts as
    not decided, and is left out of every figure that needs a score.
    """
    pack = _find(name, settings)
    runner = open_runner(pack, None).runner
    limits = PixelLimits(settings.limits.max_pixels, settings.limits.max_decoded_bytes)
    scores, truth, decisions = [], [], []
    for file, label in track(_rows(labels), description="evaluating", console=Console(stderr=True)):
        score, decision = _read(runner, images / file, limits)
        scores.append(score)
        decisions.append(decision)
        truth.append(int(label != normal))
    if not np.isfinite(scores).any():
        raise ConfigurationInvalid(str(labels), ("no listed image could be read; is --images the right folder?",))
    fp32_auc = pack.manifest.figures.get("test", {}).get("fp32_auc")
    found = asdict(evaluation.evaluate(truth, scores, decisions, fp32_auc))
    seen = np.isfinite(scores)
    interval = evaluation.bootstrap_interval(
        evaluation.auc, np.array(truth)[seen], np.array(scores)[seen], np.random.default_rng(0)
    )
    figures = {
        "pack": f"{pack.manifest.name} {pack.manifest.version}",
        **found,
        "auc_95": list(interval or ()),
    }
    return {key: _rounded(value) for key, value in figures.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return round(float(value), 4) if isinstance(value, float | np.floating) else value


def _read(runner: PackRunner, path: Path, limits: PixelLimits) -> tuple[float, Decision]:
    """Highest probability and decision of one image; NaN and ``not_triaged`` when it cannot be read."""
    try:
        dataset = dataset_from_picture(path, {}) if is_picture(path) else open_dicom(path)
        findings = runner.read(grey_image(dataset, limits)).findings
    except (CannotTriage, OSError):
        return float("nan"), Decision.not_triaged
    return max(f.probability for f in findings), decide(findings, runner.pack.manifest.thresholds)


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
            rows = [(row["file"], row["label"]) for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationInvalid(str(labels), (f"cannot be read as CSV: {error}",)) from None
    except KeyError as missing:
        raise ConfigurationInvalid(str(labels), (f"needs the columns file,label; {missing} is missing",)) from None
    if not rows or any(file is None or label is None for file, label in rows):
        raise ConfigurationInvalid(str(labels), ("every line needs a file and a label, and one line is needed",))
    return rows
