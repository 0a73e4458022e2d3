"""The part of ``scanside bench`` that asks what everything around the network costs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import cv2
import numpy as np

from hardware.choice import Candidate, open_candidate
from hardware.errors import BackendUnavailable
from models.errors import CannotTriage
from models.golden import load_golden
from models.pack import ModelPack
from models.preprocessing import FloatImage, to_tensor
from models.runner import PackRunner

#: Sides of the pictures that are read: an exported one, an MR or ultrasound image, a radiograph.
SIDES_PX = (256, 1024, 2048)
_THREADS = 2


def reading_times(packs: Iterable[ModelPack], rounds: int) -> Iterator[dict[str, Any]]:
    """From pixels to findings with heat map, against the network alone: two threads, one image at a time."""
    for pack in packs:
        try:
            runner = PackRunner(pack, open_candidate(Candidate("openvino", "CPU"), pack.network, _THREADS))
        except BackendUnavailable:
            continue
        for side_px in SIDES_PX:
            if (picture := _readable_picture(runner, side_px)) is not None:
                network_ms, reading_ms = _times_ms(runner, picture, rounds)
                times = {"network_ms": round(network_ms, 2), "reading_ms": round(reading_ms, 2)}
                yield {"pack": pack.manifest.name, "device": runner.device, "side_px": side_px, **times}


def _readable_picture(runner: PackRunner, side_px: int) -> FloatImage | None:
    """An image of the golden set in the size of a scanner's that the pack's gate lets through."""
    for image in load_golden(runner.pack).images[:, 0]:
        picture: FloatImage = cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        with suppress(CannotTriage):
            runner.read(picture)
            return picture
    return None


def _times_ms(runner: PackRunner, picture: FloatImage, rounds: int) -> tuple[float, float]:
    """Medians over runs that take turns, so that whatever else the machine does hits both."""
    tensor = to_tensor(picture, runner.pack.manifest.input)
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        runner.infer(tensor)
        between = time.perf_counter()
        runner.read(picture)
        times.append((between - started, time.perf_counter() - between))
    network_ms, reading_ms = np.median(times, axis=0) * 1000.0
    return float(network_ms), float(reading_ms)
