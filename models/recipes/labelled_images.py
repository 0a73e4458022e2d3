"""A folder of labelled images and its split, which never parts what belongs together.

The split is by a digest of the group (the patient, or the images that look alike), so it needs no list, never moves
a group when images are added, and can be repeated by anybody with the same files.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from models.errors import CannotTriage
from models.pictures import is_picture
from models.pixels import grey_image, open_dicom
from models.preprocessing import resize_square
from models.recipes.task import Task

Part = Literal["train", "calibration", "test"]
_SHARES: tuple[tuple[Part, float], ...] = (("train", 0.60), ("calibration", 0.85), ("test", 1.0))
_THUMBNAIL_PX = 16
_ALIKE = 0.985


@dataclass(frozen=True)
class LabelledImages:
    """``pixels (n, size, size) uint8``, ``labels (n,)`` as indices of the task's classes, and each image's CSV row."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: tuple[dict[str, str], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def files(self) -> tuple[str, ...]:
        """The file names."""
        return tuple(row["file"] for row in self.rows)

    def every(self, step: int) -> LabelledImages:
        """Every ``step``-th image: a smaller set of the same mixture."""
        return LabelledImages(self.pixels[::step], self.labels[::step], self.rows[::step])

    def where(self, chosen: NDArray[np.bool_]) -> LabelledImages:
        """The images that a mask ``(n,)`` chooses."""
        rows = tuple(row for row, keep in zip(self.rows, chosen, strict=True) if keep)
        return LabelledImages(self.pixels[chosen], self.labels[chosen], rows)


def part_of(group: str) -> Part:
    """60 % train, 25 % calibration, 15 % test, decided by the group's name alone."""
    position = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return next(part for part, end in _SHARES if position <= end)


def load_images(images: Path, labels: Path, task: Task) -> LabelledImages:
    """Read the images, DICOM, PNG or JPEG, of a CSV with the columns ``file,label`` and what else it has.

    Raises:
        ValueError: the CSV lacks a column or a line, a label is none of the task's classes, or a listed file cannot be
            read as an image.
    """
    with labels.open(newline="", encoding="utf-8-sig") as lines:
        rows = tuple(csv.DictReader(lines))
    wanted = {"file", "label"} | ({task.group} if task.group else set())
    if not rows:
        raise ValueError(f"{labels.name} has no line under its heads")
    if missing := wanted - set(rows[0]):
        raise ValueError(f"{labels.name} needs the columns {', '.join(sorted(wanted))}; {sorted(missing)} missing")
    if lines_without := [number for number, row in enumerate(rows, 2) if not all(row[name] for name in wanted)]:
        raise ValueError(f"line {lines_without[0]} of {labels.name} does not fill every column that is needed")
    if unknown := {row["label"] for row in rows} - set(task.classes):
        raise ValueError(f"the labels {sorted(unknown)} are none of {list(task.classes)}")
    pixels = read_squares([images / row["file"] for row in rows], task.spec.size_px)
    return LabelledImages(pixels, np.array([task.classes.index(row["label"]) for row in rows]), rows)


def read_squares(files: list[Path], size_px: int) -> NDArray[np.uint8]:
    """``(n, size, size)`` 8-bit centre squares. Raises ValueError for a file that is no image."""
    squares = []
    for file in track(files, description="reading images", console=Console(stderr=True)):
        squares.append(np.clip(resize_square(_grey(file), size_px), 0, 255).astype(np.uint8))
    return np.stack(squares)


def _grey(file: Path) -> NDArray[Any]:
    """``(rows, columns)`` in 0..255: an 8-bit picture as it is, all else from its darkest to its brightest value."""
    try:
        if is_picture(file):
            image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
        else:
            image = grey_image(open_dicom(file))
    except (OSError, CannotTriage) as error:
        raise ValueError(f"{file.name} is listed but cannot be read as an image ({error})") from None
    if image is None:
        raise ValueError(f"{file.name} is listed but cannot be read as an image")
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    return (image.astype(np.float32) - low) * (255.0 / max(high - low, 1e-6))


def split(whole: LabelledImages, task: Task) -> dict[Part, LabelledImages]:
    """Train, calibration and test part; a group is never in two of them."""
    groups = [row[task.group] for row in whole.rows] if task.group else look_alikes(whole)
    parts = np.array([part_of(group) for group in groups])
    return {part: whole.where(parts == part) for part, _ in _SHARES}


def look_alikes(whole: LabelledImages) -> list[str]:
    """A group name for every image: that of the first file of all that are connected by looking alike.

    Two images look alike when their 16 x 16 thumbnails correlate above 0.985.
    """
    area = (_THUMBNAIL_PX, _THUMBNAIL_PX)
    small = np.stack([cv2.resize(p, area, interpolation=cv2.INTER_AREA) for p in whole.pixels]).astype(np.float32)
    flat = small.reshape(len(whole), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    first = np.arange(len(whole))
    for index in range(len(whole)):  # union by relabelling: small groups, so cheap
        for other in np.flatnonzero(flat[index + 1 :] @ flat[index] > _ALIKE) + index + 1:
            low, high = sorted((first[index], first[other]))
            if low != high:
                first[first == high] = low
    return [whole.files[index] for index in first]
