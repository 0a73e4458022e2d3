"""Synthetic pictures for golden sets: drawn, of nobody, from clearly normal to clearly ill."""

from __future__ import annotations

from models.synthetic import Picture, SyntheticChest, breast_scan, head_slice

COUNT = 4


def golden_pictures(task: str) -> list[Picture]:
    """Four pictures ``(rows, columns)`` uint16 of the kind that a task is about; chests for a task unknown here."""
    steps = [(index / (COUNT - 1), 900 + index) for index in range(COUNT)]
    if task.startswith("brain"):
        return [head_slice(lesion, seed) for lesion, seed in steps]
    if task.startswith("breast"):
        return [breast_scan(lesion, seed) for lesion, seed in steps]
    chest = SyntheticChest()
    return [chest.draw(disease, seed=seed) for disease, seed in steps]
