"""Trains the generator of synthetic radiographs that the demo and the golden sets use.

A principal-component model per class over low-passed training radiographs: a mean, a few components, their spread.
Samples are plausible chests of nobody. The number of components is far below the number of images, and each sample
mixes all of them at random, so none comes near a patient's picture (the distance is checked and printed).

    python -m models.recipes.synthetic_chest --images DIR --labels CSV --out models/synthetic_chest.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.recipes.cxr_pneumonia_paediatric import TASK
from models.recipes.labelled_images import load_images, split

SIDE_PX, COMPONENTS, SEED = 112, 48, 20263
console = Console(stderr=True)


def _principal(
    images: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Mean ``(p,)``, components ``(k, p)`` and their standard deviations ``(k,)`` of ``(n, p)`` images."""
    mean = images.mean(axis=0)
    _, singular, components = np.linalg.svd(images - mean, full_matrices=False)
    spread = singular[:COMPONENTS] / np.sqrt(len(images) - 1)
    return mean, components[:COMPONENTS].astype(np.float32), spread.astype(np.float32)


def _prepared(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    small = [cv2.resize(p, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32) for p in pixels]
    flat = np.stack(small).reshape(len(small), -1)
    low, high = np.percentile(flat, [1, 99], axis=1, keepdims=True)
    return (np.clip((flat - low) / (high - low + 1e-6), 0, 1)).astype(np.float32)


def nearest_share(images: NDArray[np.float32], samples: NDArray[np.float32]) -> float:
    """Smallest distance of a sample to a training image, as a share of the median distance between two images."""

    def least(points: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.array([np.linalg.norm(images - point, axis=1).min() for point in points])

    between = np.array([np.partition(np.linalg.norm(images - image, axis=1), 1)[1] for image in images[::20]])
    return float(least(samples).min() / np.median(between))


def main() -> None:
    """Train both classes and write the generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    part = split(load_images(arguments.images, arguments.labels, TASK), TASK)["train"]
    images = _prepared(part.pixels)
    rng = np.random.default_rng(SEED)
    written: dict[str, NDArray[np.float32] | NDArray[np.int8]] = {}
    for name, value in (("normal", 0), ("pneumonia", 1)):
        members = images[part.labels == value]
        mean, components, spread = _principal(members)
        scale = np.abs(components).max(axis=1, keepdims=True) / 127.0
        written |= {
            f"{name}_mean": np.rint(mean * 255.0).astype(np.uint8),
            f"{name}_components": np.rint(components / scale).astype(np.int8),
            f"{name}_spread": (spread * scale[:, 0]).astype(np.float32),
        }
        samples = mean + (rng.normal(size=(20, COMPONENTS)) * spread).astype(np.float32) @ components
        console.print(f"{name}: nearest training image at {nearest_share(members, samples):.2f} of the usual nearest")
    np.savez_compressed(arguments.out, **written)
    console.print(f"{arguments.out}: {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
