"""Small plots over the last day, made by the server: lines of an SVG, and the same in words beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH, HEIGHT = 288, 48
#: A gap of more minutes than this is shown as one.
_JOINED_MINUTES: Final = 3
_MINUTES: Final = 1440

#: A minute (since 1970-01-01 UTC) and its value; None where nothing is known.
Series = Sequence[tuple[int, float | None]]


@dataclass(frozen=True)
class Plot:
    """``lines`` are the ``points`` of SVG polylines in a box of WIDTH × HEIGHT; ``top`` is the value of its upper edge.

    All of it is empty, and the words None, where nothing was recorded.
    """

    title: str
    lines: tuple[str, ...]
    top: str | None
    latest: str | None
    highest: str | None


def plot_of(title: str, series: Series, now: float, words: Callable[[float], str], top: float | None = None) -> Plot:
    """The last day up to ``now`` (epoch s); ``top`` is the value of the upper edge, else the highest seen."""
    end = int(now // 60)
    known = [(minute, value) for minute, value in series if value is not None and end - _MINUTES < minute <= end]
    if not known:
        return Plot(title, (), None, None, None)
    highest = max(value for _, value in known)
    edge = top if top is not None else highest
    lines: list[list[str]] = []
    last: int | None = None
    for minute, value in known:
        if last is None or minute - last > _JOINED_MINUTES:
            lines.append([])
        lines[-1].append(_point(minute - end + _MINUTES, value / edge if edge > 0 else 0.0))
        last = minute
    return Plot(
        title, tuple(" ".join(_visible(line)) for line in lines), words(edge), words(known[-1][1]), words(highest)
    )


def _point(minute: int, share: float) -> str:
    x, y = minute * WIDTH / _MINUTES, HEIGHT - 1 - min(max(share, 0.0), 1.0) * (HEIGHT - 2)
    return f"{x:.1f},{y:.1f}"


def _visible(line: list[str]) -> list[str]:
    """A line of one point has no length and would not be seen."""
    if len(line) > 1:
        return line
    x, _, y = line[0].partition(",")
    return [f"{max(float(x) - 1.0, 0.0):.1f},{y}", line[0]]
