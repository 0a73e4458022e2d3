"""Synthetic pictures for golden sets: drawn, of nobody, from clearly normal to clearly ill."""

from __future__ import annotations

from collections.abc import Callable

from models.synthetic import Picture, SyntheticChest, breast_scan, head_slice

COUNT = 4
#: Of so many drawings of each step one is taken.
DRAWINGS = 8


def golden_pictures(task: str) -> list[list[Picture]]:
    """Four steps of disease, each drawn eight times as ``(rows, columns)`` uint16; chests for a task unknown here."""
    draw: Callable[[float, int], Picture] = SyntheticChest().draw
    if task.startswith("brain"):
        draw = head_slice
    if task.startswith("breast"):
        draw = breast_scan
    return [[draw(step / (COUNT - 1), 900 + step + COUNT * i) for i in range(DRAWINGS)] for step in range(COUNT)]
