"""From a folder of labelled images to both packs of a task: train, choose, quantise, calibrate, measure, write.

Everything is chosen on the train and calibration parts; the test part is measured once, at the end, with the very
packs that ship.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from models.recipes.candidates import Candidate, choose_light
from models.recipes.export import export_onnx
from models.recipes.foreign import foreign_pictures
from models.recipes.head_fitting import add_head
from models.recipes.labelled_images import LabelledImages, Part, load_images, split
from models.recipes.network import MapClassifier
from models.recipes.packing import Material, build_pack
from models.recipes.quantisation import store_weights_as_halves
from models.recipes.task import Schedule, Task
from models.recipes.training import train

console = Console(stderr=True)


def trained(
    task: Task,
    parts: dict[Part, LabelledImages],
    name: str,
    plan: Schedule,
    weights: Path,
    teachers: Sequence[MapClassifier] = (),
) -> MapClassifier:
    """The network of one plan; taken from ``weights`` if it lies there, else trained and put there."""
    file = weights / f"{task.name}-{name}.pt"
    if file.exists():
        network = MapClassifier(plan.architecture, task.outputs)
        network.load_state_dict(torch.load(file, weights_only=True))
        return network.eval()
    console.rule(f"{task.name}: {name} ({plan.architecture})")
    network, aucs = train(task, plan, (parts["train"], parts["calibration"]), teachers)
    console.print("calibration part", {version: round(value, 4) for version, value in aucs.items()})
    torch.save(network.state_dict(), file)
    return network


def train_all(
    task: Task, parts: dict[Part, LabelledImages], weights: Path
) -> tuple[MapClassifier, list[MapClassifier]]:
    """The full network and its seconds first, then the light ones, all of them taught by these."""
    if task.full is None:
        raise ValueError(f"{task.name} has no plan for training")
    full = trained(task, parts, "full", task.full, weights)
    seconds = [trained(task, parts, f"second{i}", plan, weights) for i, plan in enumerate(task.seconds)]
    teachers = (full, *seconds)
    lights = [trained(task, parts, f"light{i}", plan, weights, teachers) for i, plan in enumerate(task.lights)]
    return full, lights


def build(task: Task, images: Path, labels: Path, foreign: Sequence[Path], weights: Path, out: Path) -> None:
    """Make both packs of a task in ``out``."""
    parts = split(load_images(images, labels, task), task)
    console.print({part: len(found) for part, found in parts.items()})
    full, lights = train_all(task, parts, weights)
    material = Material(task, parts, foreign_pictures(foreign, task.spec.size_px))
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        fp32 = work / "full-fp32.onnx"
        export_onnx(full, task.spec.size_px, fp32)
        store_weights_as_halves(fp32, work / "full.onnx")
        found = []
        for index, (plan, light) in enumerate(zip(task.lights, lights, strict=True)):
            plain = work / f"light{index}.onnx"
            export_onnx(light, task.spec.size_px, plain)
            found.append(Candidate(plan.architecture, plain, work / f"light{index}-int8.onnx"))
        chosen, compared = choose_light(found, material)
        build_pack(out / f"{task.name}-full", material, work / "full.onnx", "cloud", {})
        build_pack(out / task.name, material, chosen.int8, "box", {"candidates": compared}, chosen.fp32)
        add_head(out / task.name, out / f"{task.name}-full", task, parts)


def main(task: Task, doc: str | None) -> None:
    """The command line of a recipe."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of the labelled images")
    parser.add_argument("--labels", type=Path, required=True, help="CSV that begins file,label")
    parser.add_argument("--foreign", type=Path, nargs="+", default=[], help="folders of pictures of other kinds")
    parser.add_argument("--out", type=Path, required=True, help="folder to write both packs into")
    parser.add_argument("--weights", type=Path, help="keep trained networks here; those found here are not trained")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        weights = given.weights or Path(scratch)
        weights.mkdir(parents=True, exist_ok=True)
        build(task, given.images, given.labels, given.foreign, weights, given.out)
