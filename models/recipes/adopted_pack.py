"""A calibrated INT8 pack from a network that was trained elsewhere and a folder of labelled images."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.recipes.adoption import adopt
from models.recipes.description import Description
from models.recipes.foreign import foreign_pictures
from models.recipes.labelled_images import LabelledImages, Part, load_images, split
from models.recipes.packing import Material, build_pack, quantising_tensors
from models.recipes.quantisation import quantise
from models.recipes.scoring import console
from models.recipes.task import Task

_FLAT = "The heat map is flat: the network does not end in global average pooling, so it does not say where it looked."


def adopted_pack(described: Description, network: Path, data: tuple[Path, Path, Sequence[Path]], out: Path) -> Path:
    """Make the pack ``out/NAME`` and return its folder, which appears only when it is whole.

    Args:
        described: what the network is for.
        network: an ONNX classifier.
        data: folder of labelled images, CSV of their labels, folders of pictures of other kinds.
        out: where the pack's folder is made.

    Raises:
        PackRejected: the network cannot be taken in.
        ValueError: the images or the labels do not fit.
        OSError: ``out`` has such a folder, or the disk does not take it.
    """
    task, folder = described.task, out / described.name
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name another folder or remove it")
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        fp32, int8 = work / "fp32.onnx", work / "int8.onnx"
        if not adopt(network, described.given, described.order, fp32):
            console.print(_FLAT)
            task = replace(task, words=replace(task.words, heat_map=_FLAT), heat_map_proven=False)
        images, labels, foreign = data
        parts = split(load_images(images, labels, task), task)
        _check_parts(parts, task)
        material = Material(task, parts, foreign_pictures(foreign, task.spec.size_px))
        quantise(fp32, int8, quantising_tensors(material))
        build_pack(work / task.name, material, int8, "box", {}, fp32)
        out.mkdir(parents=True, exist_ok=True)
        shutil.copytree(work / task.name, folder)
    return folder


def _check_parts(parts: dict[Part, LabelledImages], task: Task) -> None:
    how = (
        "" if task.group else "; images that look alike went to one part, unless group names the column of the patient"
    )
    for part, found in parts.items():
        if lacking := [name for index, name in enumerate(task.classes) if index not in found.labels]:
            raise ValueError(
                f"the {part} part, {len(found)} images that the split gives it, has none of {', '.join(lacking)}; "
                f"more images are needed{how}"
            )
