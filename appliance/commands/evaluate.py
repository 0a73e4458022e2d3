"""``scanside evaluate``: a pack on labelled images, figure by figure as the contract names them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from appliance.commands.labelled import Row, eight_bits, image_of, patients_of, read_rows, truths_of
from appliance.errors import ConfigurationInvalid
from appliance.packs import find_pack
from appliance.settings import Settings
from models.answers import Answer, answer
from models.errors import CannotTriage
from models.evaluation import Evaluation, Sample, evaluate, flat
from models.manifest import Manifest
from models.opening import open_runner
from models.picture_changes import Picture
from models.pixels import PixelLimits
from models.robustness import in_words, robustness
from models.runner import PackRunner

Draw = Callable[[Manifest, Sample, Evaluation, Path], list[Path]]

#: For robustness all images stay in memory, one byte a pixel.
MOST_HELD_PIXELS = 2 << 30


def check_plots() -> None:
    """Raise ConfigurationInvalid now and not after the long run when the curves cannot be drawn here."""
    if importlib.util.find_spec("matplotlib") is None:
        repair = "install it with: pip install 'scanside[plots]'"
        raise ConfigurationInvalid("command line", (f"--plots needs matplotlib, which is not installed; {repair}",))


def evaluate_pack(
    name: str,
    images: Path,
    labels: Path,
    normal: str | None,
    settings: Settings,
    plots: tuple[Path, Draw] | None = None,
) -> dict[str, Any]:
    """Run one pack over every listed image; ``plots`` says where the curves go and what draws them.

    The pack's scope is not asked here: the labels say what the images are. An image that cannot be decoded or that
    the gate refuses counts as not decided and under ``refused``, and is left out of every figure that needs a score.
    """
    pack = find_pack(name, settings)
    rows = read_rows(labels)
    truths = truths_of(rows, pack.manifest, normal, labels)
    runner = open_runner(pack, None).runner
    limits = _limits(settings)
    answers = [_answer(runner, images / row.file, limits) for row in _track(rows, "evaluating")]
    if not any(one.findings for one in answers):
        raise ConfigurationInvalid(str(labels), (_nothing_read(answers),))
    found = evaluate(pack.manifest, truths, answers, groups=patients_of(rows), rng=np.random.default_rng(0))
    figures = {"pack": f"{pack.manifest.name} {pack.manifest.version}", **flat(found)}
    if plots is not None:
        folder, draw = plots
        written = draw(pack.manifest, Sample(pack.manifest, truths, answers), found, folder)
        figures["plots"] = [str(path) for path in written]
    return figures


def measure_robustness(
    name: str, images: Path, labels: Path, normal: str | None, settings: Settings
) -> list[dict[str, Any]]:
    """One row per change of the listed images; those that cannot be read are left out and counted on stderr."""
    pack = find_pack(name, settings)
    rows = read_rows(labels)
    truths_of(rows, pack.manifest, normal, labels)
    pictures = _pictures(rows, images, _limits(settings), labels)
    if left_out := len(rows) - len(pictures):
        Console(stderr=True).print(f"{left_out} of {len(rows)} images cannot be read and are left out")
    if not pictures:
        raise ConfigurationInvalid(str(labels), ("no listed image could be read; is --images the right folder?",))
    measured = robustness(open_runner(pack, None).runner, pictures, normal=normal, track=_track)
    return [{key: _rounded(value) for key, value in row.items()} for row in measured]


def as_text(figures: dict[str, Any]) -> str:
    """The figures for a person: one a line, with its interval where it has one."""
    intervals = figures["intervals"]
    lines = []
    for name, value in figures.items():
        if name in ("intervals", "plots"):
            continue
        interval = "  ({} to {})".format(*intervals[name]) if name in intervals else ""
        lines.append(f"{name:<22} {in_words(value)}{interval}")
    not_read = figures["n"] - figures["read"]
    lines.append(f"{not_read} of {figures['n']} images were not read; the figures that need a score leave them out")
    return "\n".join([*lines, *figures.get("plots", [])])


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _track(steps: Sequence[Any], what: str) -> Iterable[Any]:
    return track(steps, description=what, console=Console(stderr=True))


def _limits(settings: Settings) -> PixelLimits:
    return PixelLimits(settings.limits.max_pixels, settings.limits.max_decoded_bytes)


def _answer(runner: PackRunner, path: Path, limits: PixelLimits) -> Answer:
    try:
        return answer(runner, image_of(path, limits))
    except CannotTriage as refused:
        return Answer(reason=refused.reason)


def _nothing_read(answers: Sequence[Answer]) -> str:
    reasons = sorted({one.reason.value for one in answers if one.reason is not None})
    return f"no listed image could be read ({', '.join(reasons)}); is --images the right folder?"


def _pictures(rows: Sequence[Row], images: Path, limits: PixelLimits, labels: Path) -> list[tuple[Picture, str]]:
    """Each readable image in 8 bits with its label. Raises ConfigurationInvalid when they do not fit into memory."""
    held: list[tuple[Picture, str]] = []
    total = 0
    for row in _track(rows, "reading"):
        try:
            grey = image_of(images / row.file, limits)
        except CannotTriage:
            continue
        total += grey.size
        if total > MOST_HELD_PIXELS:
            raise ConfigurationInvalid(str(labels), (f"the images have over {MOST_HELD_PIXELS} pixels; list fewer",))
        held.append((eight_bits(grey), row.label))
    return held
