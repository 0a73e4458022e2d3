"""Shares over time and scores over time as drawings: where every line and word of an SVG goes. Values in, values out.

The template only writes them down; colours come from the style sheet, so a drawing is as readable in the dark and in
print as the page around it. Time runs from left to right in every language, as numbers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from babel.dates import format_skeleton

from appliance.web.agreement import wilson
from appliance.web.language import locale
from appliance.web.promise import Promise
from appliance.web.quality_counts import BINS, Scores, Span
from appliance.web.wording import share_words

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 344, 8, 164
_MOST_LABELS = 5


@dataclass(frozen=True)
class Share:
    """``successes`` of ``trials`` as a share with its 95 % Wilson interval, all 0..1."""

    successes: int
    trials: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """One step of time; ``share`` is None where there was nothing to count."""

    step: int
    label: str
    share: Share | None


@dataclass(frozen=True)
class Dot:
    """A point on the drawing, px: its place, and from where to where its interval reaches."""

    x: float
    y: float
    y_low: float
    y_high: float


@dataclass(frozen=True)
class Label:
    """A word at a place; ``line`` is whether a line of the grid stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Drawing:
    """A share over time. ``lines`` are the ``d`` of paths, one for each run of steps without a gap.

    ``band`` is the top and height of what was promised, ``aim`` the height of the calibrated share itself.
    """

    points: tuple[Point, ...]
    dots: tuple[Dot, ...]
    lines: tuple[str, ...]
    steps: tuple[Label, ...]
    shares: tuple[Label, ...]
    band: tuple[float, float] | None
    aim: float | None


@dataclass(frozen=True)
class Patch:
    """One tenth of one step: its place, px, and its part of the step's studies, 0..1."""

    x: float
    y: float
    part: float


@dataclass(frozen=True)
class ScoreDrawing:
    """The distribution of probabilities over time; ``lines`` are the heights of the two lines of the pack."""

    scores: tuple[tuple[str, Scores], ...]
    patches: tuple[Patch, ...]
    width: float
    height: float
    steps: tuple[Label, ...]
    shares: tuple[Label, ...]
    lines: tuple[float, ...]


def points(span: Span, now: float, counted: Sequence[tuple[int, int, int]]) -> tuple[Point, ...]:
    """A point for every step of the plot from ``(step, successes, trials)``; a step without any has no share."""
    by_step = {step: (successes, trials) for step, successes, trials in counted}
    last = span.step_of(now)
    steps = range(last - span.steps + 1, last + 1)
    return tuple(Point(step, step_words(span, step), share_of(*by_step.get(step, (0, 0)))) for step in steps)


def share_of(successes: int, trials: int) -> Share | None:
    """None without trials."""
    bounds = wilson(successes, trials)
    return None if bounds is None else Share(successes, trials, successes / trials, *bounds)


def step_words(span: Span, step: int) -> str:
    """The day on which a step begins, as the reader writes days: "21 Nov", "21 nov."."""
    begins = datetime.fromtimestamp(span.begins(step), UTC)
    return str(format_skeleton("MMMd", begins, locale=locale()))


def drawing(series: Sequence[Point], promise: tuple[float, float, float] | None = None) -> Drawing:
    """``promise`` is the least, the calibrated and the greatest share, for the band behind the line."""
    places = _places(len(series))
    dots = [
        Dot(x, _y(one.share.share), _y(one.share.low), _y(one.share.high))
        for x, one in zip(places, series, strict=True)
        if one.share is not None
    ]
    least, aim, most = promise or (0.0, None, 0.0)
    return Drawing(
        points=tuple(series),
        dots=tuple(dots),
        lines=_runs(places, series),
        steps=_step_labels(places, [one.label for one in series]),
        shares=_share_labels(),
        band=(_y(most), round(_y(least) - _y(most), 1)) if promise else None,
        aim=_y(aim) if aim is not None else None,
    )


def score_drawing(span: Span, now: float, found: Sequence[Scores], promise: Promise | None) -> ScoreDrawing:
    """Each step is a column of ten patches, the darker the more of its studies have that probability."""
    last = span.step_of(now)
    first = last - span.steps + 1
    width, height = (_RIGHT - _LEFT) / span.steps, (_BOTTOM - _TOP) / BINS
    patches = [
        Patch(_round(_LEFT + (one.step - first) * width), _round(_BOTTOM - (tenth + 1) * height), number / total)
        for one in found
        for total in [sum(one.counts)]
        for tenth, number in enumerate(one.counts)
        if number
    ]
    return ScoreDrawing(
        scores=tuple((step_words(span, one.step), one) for one in found),
        patches=tuple(patches),
        width=_round(width),
        height=_round(height),
        steps=_step_labels(_places(span.steps), [step_words(span, step) for step in range(first, last + 1)]),
        shares=_share_labels(),
        lines=(_y(promise.routine_below), _y(promise.urgent_from)) if promise else (),
    )


def _places(number: int) -> list[float]:
    width = (_RIGHT - _LEFT) / number
    return [_round(_LEFT + (place + 0.5) * width) for place in range(number)]


def _runs(places: Sequence[float], series: Sequence[Point]) -> tuple[str, ...]:
    runs: list[list[str]] = [[]]
    for x, one in zip(places, series, strict=True):
        if one.share is None:
            runs.append([])
        else:
            runs[-1].append(f"{x} {_y(one.share.share)}")
    return tuple("M" + "L".join(run) for run in runs if len(run) > 1)


def _step_labels(places: Sequence[float], labels: Sequence[str]) -> tuple[Label, ...]:
    """As many as have room; the last always has its word."""
    every = -(-len(labels) // _MOST_LABELS)
    return tuple(
        Label(place, text)
        for number, (place, text) in enumerate(zip(places, labels, strict=True))
        if (len(labels) - 1 - number) % every == 0 and place - _LEFT > 16
    )


def _share_labels() -> tuple[Label, ...]:
    return tuple(Label(_y(share), share_words(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0))


def _y(share: float) -> float:
    return _round(_BOTTOM - share * (_BOTTOM - _TOP))


def _round(place: float) -> float:
    return round(place, 1)
