"""The curves of an evaluation as SVG and PNG, told apart by dashes and marks, so that they read without colour.

Imported only where matplotlib is installed: it is the extra ``plots``, not part of a box.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.curves import reliability, risk_coverage, roc
from models.evaluation import Evaluation, Sample
from models.manifest import Manifest

_DASHES = ("-", "--", "-.", ":")
_INCHES = (5.2, 4.6)
_DPI = 150


def draw_curves(manifest: Manifest, sample: Sample, found: Evaluation, folder: Path) -> list[Path]:
    """Write ``roc``, ``reliability`` and ``risk-coverage`` into ``folder`` (made if missing), each twice."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "scanside", "font.size": 9, "axes.grid": True}):
        for name, draw in (("roc", _roc), ("reliability", _reliability), ("risk-coverage", _risk_coverage)):
            figure = Figure(figsize=_INCHES, layout="constrained")
            axes = figure.add_subplot()
            draw(axes, manifest, sample, found)
            axes.set_title(f"{manifest.name} {manifest.version}: {found.read} of {found.n} images read")
            axes.legend(fontsize=8)
            for kind in ("svg", "png"):
                path = folder / f"{name}.{kind}"
                # Without a date, so that the same figures give the same file
                figure.savefig(path, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
                written.append(path)
    return written


def _roc(axes: Axes, manifest: Manifest, sample: Sample, found: Evaluation) -> None:
    """One line for each class against the rest, where there are several; else the one of the finding."""
    read, acting = sample.read, " or ".join(manifest.acts_on)
    lines = [(f"{acting} ({_number(found.figures.auc_abnormal)})", sample.abnormal[read], sample.abnormality[read])]
    if len(sample.classes) > 2 and sample.classes_known:
        for index, (name, auc) in enumerate(found.auc_by_class.items()):
            known = sample.class_index[read] == index
            lines.append((f"{name} against the rest ({_number(auc)})", known, sample.probabilities[read][:, index]))
    for index, (label, positive, scores) in enumerate(lines):
        line = roc(positive, scores)
        width = 2.0 if index == 0 else 1.0
        axes.plot(line.x, line.y, _DASHES[index % len(_DASHES)], color=_shade(index), linewidth=width, label=label)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
    for name, line_at, mark in (("urgent from", "urgent_from", "v"), ("routine below", "routine_below", "o")):
        flagged = sample.abnormality[read] >= getattr(manifest.thresholds, line_at)
        ill = sample.abnormal[read]
        if ill.any() and not ill.all():
            alarms, hits = float(flagged[~ill].mean()), float(flagged[ill].mean())
            value = f"{getattr(manifest.thresholds, line_at):.3f}"
            axes.plot(alarms, hits, mark, color="black", fillstyle="none", markersize=8, label=f"{name} {value}")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _reliability(axes: Axes, manifest: Manifest, sample: Sample, found: Evaluation) -> None:
    bins = reliability(sample.abnormal[sample.read], sample.abnormality[sample.read])
    x, y = [one.probability for one in bins], [one.frequency for one in bins]
    bars = [[one.frequency - one.low for one in bins], [one.high - one.frequency for one in bins]]
    label = f"images in tenths, 95 % (ECE {_number(found.figures.ece)})"
    axes.errorbar(x, y, yerr=bars, fmt="s", color="black", capsize=3, label=label)
    for one in bins:
        side: Literal["left", "right"] = "left" if one.probability < 0.9 else "right"
        away = (5, -10) if side == "left" else (-6, -10)
        at = (one.probability, one.frequency)
        axes.annotate(f"n = {one.count}", at, away, textcoords="offset points", ha=side, fontsize=7)
    axes.plot([0, 1], [0, 1], "--", color="0.5", linewidth=0.8, label="calibrated")
    axes.set(xlabel=f"probability of {' or '.join(manifest.acts_on)}", ylabel="how often it is there")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _risk_coverage(axes: Axes, manifest: Manifest, sample: Sample, found: Evaluation) -> None:
    line = risk_coverage(sample.abnormal[sample.read], sample.abnormality[sample.read], len(sample))
    axes.plot(line.x, line.y, "-", color="black", linewidth=1.2, drawstyle="steps-post", label="most certain first")
    coverage, risk = found.figures.coverage, found.figures.selective_error
    if coverage is not None and risk is not None:
        text = f"this pack: {coverage:.1%} decided, {risk:.1%} of them wrong"
        axes.plot(coverage, risk, "D", color="black", fillstyle="none", markersize=9, label=text)
    for dashes, (words, share) in zip(_DASHES[1:], _bounds(manifest).items(), strict=False):
        axes.axhline(share, linestyle=dashes, color="0.4", linewidth=1.0, label=f"{words}: at most {share:.1%}")
    axes.set(xlabel="coverage: share of all images decided", ylabel="risk: share of wrong ones among them")
    axes.set(xlim=(0, 1.02))
    highest = axes.get_ylim()[1]
    axes.set_ylim(-0.02 * highest, highest)


def _bounds(manifest: Manifest) -> dict[str, float]:
    """What the calibration promised; equal promises are one line."""
    bound = manifest.calibration.get("bound")
    if not isinstance(bound, dict):
        return {}
    missed, false = bound.get("missed", bound.get("share")), bound.get("false_alarms", bound.get("share"))
    if missed is not None and missed == false:
        return {"bound on missed and on false alarms": float(missed)}
    named = {"bound on missed": missed, "bound on false alarms": false}
    return {words: float(share) for words, share in named.items() if share is not None}


def _shade(index: int) -> str:
    return ("black", "0.25", "0.4", "0.5", "0.6")[min(index, 4)]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
