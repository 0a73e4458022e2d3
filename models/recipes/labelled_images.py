"""A folder of labelled images and its patient-wise split.

The split is by a digest of the patient identifier, so it needs no list, never moves a patient when images are
added, and can be repeated by anybody with the same files.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from models.preprocessing import resize_square

Part = Literal["train", "calibration", "test"]


@dataclass(frozen=True)
class LabelledImages:
    """``pixels (n, size, size) uint8``, ``labels (n,) float32`` with 1 = abnormal, and the file names."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.float32]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def every(self, step: int) -> LabelledImages:
        """Every ``step``-th image: a smaller set of the same mixture."""
        return LabelledImages(self.pixels[::step], self.labels[::step], self.files[::step])


def part_of(patient: str) -> Part:
    """70 % train, 15 % calibration, 15 % test, decided by the patient identifier alone."""
    position = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    if position < 0.70:
        return "train"
    return "calibration" if position < 0.85 else "test"


def load_parts(images: Path, labels: Path, size_px: int, normal: str) -> dict[Part, LabelledImages]:
    """Read ``file,label,…,patient`` rows; every label but ``normal`` counts as abnormal.

    Raises:
        ValueError: a listed file cannot be read as an image.
    """
    with labels.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    grouped: dict[Part, list[tuple[NDArray[np.uint8], float, str]]] = {
        "train": [],
        "calibration": [],
        "test": [],
    }
    for row in track(rows, description="reading images"):
        image = cv2.imread(str(images / row["file"]), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise ValueError(f"{row['file']} is listed but cannot be read as an image")
        square = np.clip(resize_square(image, size_px), 0, 255).astype(np.uint8)
        grouped[part_of(row["patient"])].append((square, float(row["label"] != normal), row["file"]))
    return {part: _collect(found) for part, found in grouped.items()}


def _collect(found: list[tuple[NDArray[np.uint8], float, str]]) -> LabelledImages:
    return LabelledImages(
        pixels=np.stack([square for square, _, _ in found]),
        labels=np.array([label for _, label, _ in found], dtype=np.float32),
        files=tuple(name for _, _, name in found),
    )
