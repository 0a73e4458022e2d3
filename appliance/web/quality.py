"""The page on quality: what became of studies over time, and whether it still fits what the packs promised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.routing import Route

from appliance.web.box import PackView
from appliance.web.language import gettext as _
from appliance.web.language import language
from appliance.web.promise import LEAST_STUDIES, LEVEL, WINDOW_DAYS, Drift, Promise
from appliance.web.quality_counts import (
    DAYS,
    MOST_SCANNERS,
    WEEKS,
    Cell,
    Span,
    Tally,
    cells,
    reasons,
    scores,
    total,
)
from appliance.web.quality_drift import drifts, promises
from appliance.web.quality_plots import Drawing, ScoreDrawing, Share, drawing, points, score_drawing, share_of
from appliance.web.site import Site, Values

SPANS = {span.name: span for span in (DAYS, WEEKS)}
MOST_ROWS = 30
#: The state of the box changes many times a minute, its quality does not: how long a count is shown, s.
COUNT_KEPT_S = 30.0
_MOST_KEPT = 32


@dataclass(frozen=True)
class QualityRequest:
    """Over which time, of which pack (name and version) and which scanner; None: the busiest pack, every scanner."""

    span: Span
    pack: str | None
    scanner: str | None


@dataclass(frozen=True)
class Row:
    """One pack at one scanner over the whole time of the plots."""

    pack: str
    scanner: str
    tally: Tally
    settled: Share | None
    cloud: Share | None
    people: Share | None
    promise: Promise | None
    drift: Drift


@dataclass(frozen=True)
class Plot:
    """A drawing with its title and what it shows, in the reader's language."""

    name: str
    title: str
    meaning: str
    drawing: Drawing


@dataclass(frozen=True)
class QualityView:
    """Everything the page shows; ``counted_at`` is when it was counted."""

    asked: QualityRequest
    counted_at: float
    packs: tuple[str, ...]
    scanners: tuple[str, ...]
    rows: tuple[Row, ...]
    more_rows: int
    studies: int
    plots: tuple[Plot, ...]
    scores: ScoreDrawing | None
    reasons: dict[str, int]
    promise: Promise | None
    window_days: int = WINDOW_DAYS
    least_studies: int = LEAST_STUDIES
    level: float = LEVEL


def quality_routes(site: Site) -> list[Route]:
    """The page and its fragment."""
    kept: dict[tuple[QualityRequest, str], QualityView] = {}

    def view(request: Request, conn: Connection) -> Values:
        now, asked = site.clock(), read_request(request)
        key = asked, language()
        found = kept.get(key)
        if found is None or not 0 <= now - found.counted_at < COUNT_KEPT_S:
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            found = kept[key] = quality_view(conn, asked, site.watch.surroundings().packs, now)
        return {"view": found, "now": now}

    return site.page("/quality", "quality", view)


def read_request(request: Request) -> QualityRequest:
    """What a query string asks for; what makes no sense is read as not said."""
    asked = request.query_params
    span = SPANS.get(asked.get("by", ""), DAYS)
    return QualityRequest(span, asked.get("pack") or None, asked.get("scanner") or None)


def quality_view(conn: Connection, asked: QualityRequest, packs: tuple[PackView, ...], now: float) -> QualityView:
    """Count everything for one request."""
    counted = cells(conn, asked.span, now)
    pack_names = _busiest(counted, lambda cell: cell.pack)
    pack = asked.pack if asked.pack in pack_names else next(iter(pack_names), None)
    scanner_names = _busiest(counted, lambda cell: cell.scanner)[:MOST_SCANNERS]
    asked = QualityRequest(asked.span, pack, asked.scanner if asked.scanner in scanner_names else None)
    promised = promises(packs)
    promise = promised.get(pack or "")
    rows = _rows(counted, promised, {(one.pack, one.scanner): verdict for one, verdict in drifts(conn, packs, now)})
    of_scanner = [cell for cell in counted if asked.scanner in (None, cell.scanner)]
    found = scores(conn, asked.span, now, pack, asked.scanner) if pack else []
    return QualityView(
        asked=asked,
        counted_at=now,
        packs=tuple(pack_names),
        scanners=tuple(scanner_names),
        rows=tuple(rows[:MOST_ROWS]),
        more_rows=max(len(rows) - MOST_ROWS, 0),
        studies=sum(cell.tally.read + cell.tally.not_triaged for cell in counted),
        plots=_plots(asked, of_scanner, promise, now),
        scores=score_drawing(asked.span, now, found, promise) if found else None,
        reasons=reasons(conn, asked.span, now, asked.scanner),
        promise=promise,
    )


def _busiest(counted: list[Cell], name_of: Callable[[Cell], str]) -> list[str]:
    """The names there are, those with most studies first; nothing for what no pack has read."""
    numbers: dict[str, int] = {}
    for cell in counted:
        if name := name_of(cell):
            numbers[name] = numbers.get(name, 0) + cell.tally.read + cell.tally.not_triaged
    return sorted(numbers, key=lambda name: (-numbers[name], name))


def _rows(counted: list[Cell], promised: dict[str, Promise], verdicts: dict[tuple[str, str], Drift]) -> list[Row]:
    together: dict[tuple[str, str], Tally] = {}
    for cell in counted:
        together.setdefault((cell.pack, cell.scanner), Tally()).add(cell.tally)
    most_first = sorted(together, key=lambda pair: (-together[pair].read - together[pair].not_triaged, pair))
    return [_row(pair, together[pair], promised.get(pair[0]), verdicts.get(pair)) for pair in most_first]


def _row(pair: tuple[str, str], tally: Tally, promise: Promise | None, verdict: Drift | None) -> Row:
    return Row(
        pack=pair[0],
        scanner=pair[1],
        tally=tally,
        settled=share_of(tally.settled, tally.read),
        cloud=share_of(tally.agreed, tally.agreed + tally.disagreed),
        people=share_of(tally.confirmed, tally.confirmed + tally.corrected),
        promise=promise,
        drift=verdict or (Drift.TOO_FEW if promise else Drift.NO_PROMISE),
    )


def _plots(asked: QualityRequest, counted: list[Cell], promise: Promise | None, now: float) -> tuple[Plot, ...]:
    """One plot for each share, of the pack asked for; what was not triaged is counted among all studies."""
    of_pack = [cell for cell in counted if cell.pack == asked.pack]

    def plot(
        name: str,
        title: str,
        meaning: str,
        share: Callable[[Tally], tuple[int, int]],
        of: list[Cell] = of_pack,
        band: tuple[float, float, float] | None = None,
    ) -> Plot:
        by_step = {step: total(cell.tally for cell in of if cell.step == step) for step in {cell.step for cell in of}}
        series = points(asked.span, now, [(step, *share(tally)) for step, tally in by_step.items()])
        return Plot(name, title, meaning, drawing(series, band))

    return (
        plot(
            "settled",
            _("Settled on the box"),
            _("Of the studies this pack has read, those it called routine or urgent."),
            lambda tally: (tally.settled, tally.read),
            band=(promise.least, promise.settled, promise.most) if promise else None,
        ),
        plot(
            "escalated",
            _("Escalated"),
            _("Of the studies this pack has read, those it was unsure of."),
            lambda tally: (tally.escalate, tally.read),
            band=(1.0 - promise.most, promise.escalated, 1.0 - promise.least) if promise else None,
        ),
        plot(
            "urgent",
            _("Urgent"),
            _("Of the studies this pack has read, those it called urgent. It depends on how many are ill."),
            lambda tally: (tally.urgent, tally.read),
        ),
        plot(
            "cloud",
            _("The full model agrees"),
            _("Of the studies that were sent to the cloud and where both took a side: the ones the box was unsure of."),
            lambda tally: (tally.agreed, tally.agreed + tally.disagreed),
        ),
        plot(
            "people",
            _("People agree"),
            _("Of the studies that a person has confirmed or corrected, those confirmed."),
            lambda tally: (tally.confirmed, tally.confirmed + tally.corrected),
        ),
        plot(
            "not_triaged",
            _("Not triaged"),
            _("Of all studies, those that no pack could read, whatever the reason."),
            lambda tally: (tally.not_triaged, tally.read + tally.not_triaged),
            of=counted,
        ),
    )
