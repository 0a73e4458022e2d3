"""A calibrated INT8 pack from a network that was trained elsewhere and a folder of labelled images."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from models.recipes.adoption import adopt
from models.recipes.description import Description
from models.recipes.foreign import foreign_pictures
from models.recipes.labelled_images import load_images, split
from models.recipes.packing import Material, build_pack, quantising_tensors
from models.recipes.quantisation import quantise
from models.recipes.scoring import console


def adopted_pack(described: Description, network: Path, data: tuple[Path, Path, Sequence[Path]], out: Path) -> Path:
    """Make the pack ``out/NAME`` and return its folder.

    Args:
        described: what the network is for.
        network: an ONNX classifier.
        data: folder of labelled images, CSV of their labels, folders of pictures of other kinds.
        out: where the pack's folder is made.

    Raises:
        PackRejected: the network cannot be taken in.
        ValueError: the images or the labels do not fit.
    """
    images, labels, foreign = data
    task = described.task
    parts = split(load_images(images, labels, task), task)
    for part, found in parts.items():
        if len(set(found.labels)) < len(task.classes):
            raise ValueError(f"the {part} part of the images ({len(found)}) lacks one of {', '.join(task.classes)}")
    material = Material(task, parts, foreign_pictures(foreign, task.spec.size_px))
    with tempfile.TemporaryDirectory() as scratch:
        fp32, int8 = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        if not adopt(network, described.given, described.order, fp32):
            console.print("The network does not end in global average pooling: its heat maps will be flat.")
        quantise(fp32, int8, quantising_tensors(material))
        build_pack(out / task.name, material, int8, "box", {}, fp32)
    return out / task.name
