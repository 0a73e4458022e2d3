"""Pictures of other kinds than the pack is for, so that its gate has seen what to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.recipes.labelled_images import Part, part_of, read_squares

_SUFFIXES = {".dcm", ".jpg", ".jpeg", ".png"}
_PARTS: tuple[Part, ...] = ("train", "calibration", "test")


def foreign_pictures(folders: Sequence[Path], size_px: int) -> dict[Part, NDArray[np.uint8]]:
    """Squares ``(n, s, s)`` of all pictures in the folders, split by file name as the labelled ones."""
    files = [file for folder in folders for file in sorted(folder.iterdir()) if file.suffix.lower() in _SUFFIXES]
    squares = read_squares(files, size_px) if files else np.zeros((0, size_px, size_px), np.uint8)
    parts = np.array([part_of(file.name) for file in files], dtype=object)
    return {part: squares[parts == part] for part in _PARTS}
