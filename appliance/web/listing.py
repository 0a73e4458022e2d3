"""One page of all studies, by urgency or by arrival, narrowed or not: a few index searches however many there are.

For each urgency SQLite has the studies in the order of their arrival. The list by urgency is these one after the
other, the list by arrival is these merged; a page begins beside the study at which its neighbour ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from heapq import merge
from itertools import islice
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, select, tuple_

from appliance.schema import studies
from appliance.study_index import PENDING
from appliance.web.search import candidates
from appliance.web.standing import URGENCY

PAGE_ROWS: Final = 25

#: What ``show`` may be.
SHOWN: Final = ("all", *URGENCY, "disagrees", "provisional", "pending")

#: So many different values of a filter are offered.
MOST_OPTIONS: Final = 100

_c = studies.c


class Place(NamedTuple):
    """Where a study stands: its urgency (PENDING without one), when its latest image came (epoch s), its UID."""

    rank: int
    at: float
    uid: str

    def __str__(self) -> str:
        """As it stands in an address."""
        return f"{self.rank}_{self.at!r}_{self.uid}"

    @classmethod
    def read(cls, words: str) -> Place | None:
        """From an address; None for what is no place."""
        rank, _, rest = words.partition("_")
        at, _, uid = rest.partition("_")
        try:
            return cls(int(rank), float(at), uid)
        except ValueError:
            return None


@dataclass(frozen=True)
class WorklistRequest:
    """Which part of the worklist is wanted: all of it, narrowed by what is not empty, and of that one page.

    ``since`` and ``until`` are days of arrival in the box's own time zone, as YYYY-MM-DD. ``after`` and ``before``
    are the neighbours of the page; with ``last`` it is the last one.
    """

    order: str = "urgency"
    show: str = "all"
    search: str = ""
    modality: str = ""
    scanner: str = ""
    pack: str = ""
    since: str = ""
    until: str = ""
    after: Place | None = None
    before: Place | None = None
    last: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether something but the decision leaves studies out."""
        return any((self.search, self.modality, self.scanner, self.pack, self.since, self.until))

    @property
    def first_page(self) -> bool:
        """Whether it begins where the list begins."""
        return self.after is None and self.before is None and not self.last

    @property
    def ranks(self) -> tuple[int, ...]:
        """The urgencies it is about; what is in progress has a place of its own until somebody narrows the list."""
        if self.show in URGENCY:
            return (URGENCY.index(self.show),)
        if self.show == "pending":
            return (PENDING,)
        with_pending = self.show == "all" and (self.narrowed or self.order == "arrival")
        return (*range(len(URGENCY)), *([PENDING] if with_pending else []))


@dataclass(frozen=True)
class Listed:
    """The studies of one page in order; ``newer`` and ``older`` are None where the list ends.

    ``searched_all`` is False when so many fit the words that only the latest were looked at.
    """

    places: tuple[Place, ...]
    newer: Place | None
    older: Place | None
    searched_all: bool = True


def listed(conn: Connection, request: WorklistRequest, sees_patients: bool) -> Listed:
    """The page that is asked for; beside a neighbour that has nothing on that side, the one that there is."""
    backward = request.before is not None or request.last
    searched_all = True
    if request.search:
        found, searched_all = _searched(conn, request, sees_patients, backward)
    else:
        found = _indexed(conn, request, backward)
    entries = list(islice(found, PAGE_ROWS + 1))
    more, page = len(entries) > PAGE_ROWS, entries[:PAGE_ROWS]
    if request.before is not None and not more:  # the first page is a whole one
        return listed(conn, replace(request, before=None), sees_patients)
    if request.after is not None and not page:
        return listed(conn, replace(request, after=None, last=True), sees_patients)
    if backward:
        page.reverse()
    newer, older = (more, request.before is not None) if backward else (request.after is not None, more)
    return Listed(tuple(page), page[0] if newer and page else None, page[-1] if older and page else None, searched_all)


def _sort_key(request: WorklistRequest) -> Any:
    """By what the list is sorted, the highest first."""
    return (lambda one: one[1:]) if request.order == "arrival" else (lambda one: (-one[0], *one[1:]))


def _searched(
    conn: Connection, request: WorklistRequest, sees_patients: bool, backward: bool
) -> tuple[Iterator[Place], bool]:
    """Those that fit the words, sorted here: there are never more than a few thousand."""
    those, complete = candidates(conn, request.search, sees_patients)
    query = select(_c.urgency, _c.last_received_at, _c.study_instance_uid).where(
        *_filters(request), _of_modality(request)
    )
    found = [_place(row) for row in conn.execute(query.where(those))]
    key, place = _sort_key(request), request.before or request.after
    kept = [one for one in found if one.rank in request.ranks]
    if place is not None:
        kept = [one for one in kept if (key(one) > key(place) if backward else key(one) < key(place))]
    return iter(sorted(kept, key=key, reverse=not backward)), complete


def _indexed(conn: Connection, request: WorklistRequest, backward: bool) -> Iterator[Place]:
    place = request.before or request.after
    if request.order == "arrival":
        streams = [one for rank in request.ranks for one in _of_rank(conn, request, rank, place, backward)]
        yield from merge(*streams, key=_sort_key(request), reverse=not backward)
        return
    for rank in reversed(request.ranks) if backward else request.ranks:
        if place is not None and (rank > place.rank if backward else rank < place.rank):
            continue
        beside = place if place is not None and place.rank == rank else None
        yield from merge(*_of_rank(conn, request, rank, beside, backward), key=_sort_key(request), reverse=not backward)


def _of_rank(
    conn: Connection, request: WorklistRequest, rank: int, beside: Place | None, backward: bool
) -> Iterator[Iterable[Place]]:
    """The studies of one urgency on one side of a place, from there on; one stream for each value of a column."""
    order = (_c.last_received_at, _c.study_instance_uid)
    query = select(_c.urgency, *order).where(*_filters(request)).limit(PAGE_ROWS + 1)
    query = query.order_by(*order) if backward else query.order_by(*(column.desc() for column in order))
    query = query.where(_c.urgency.is_(None) if rank == PENDING else _c.urgency == rank)
    if beside is not None:
        here = tuple_(beside.at, beside.uid)
        query = query.where(tuple_(*order) > here if backward else tuple_(*order) < here)
    if not request.modality or rank == PENDING:
        yield [_place(row) for row in conn.execute(query.where(_of_modality(request)))]
        return
    for value in _values(conn, _c.modalities):
        if request.modality in value.split("\\"):
            yield [_place(row) for row in conn.execute(query.where(_c.modalities == value))]


def _place(row: Any) -> Place:
    return Place(PENDING if row.urgency is None else row.urgency, row.last_received_at, row.study_instance_uid)


def _filters(request: WorklistRequest) -> list[ColumnElement[bool]]:
    """What a study must fulfil, all but its urgency, its modality and the words it is searched by."""
    wanted = []
    if request.show in ("disagrees", "provisional"):
        wanted.append(_c.doubt == request.show)
    if request.scanner:
        wanted.append(_c.calling_ae_title == request.scanner)
    if request.pack:
        wanted.append(_c.pack == request.pack)
    if (since := day_begins(request.since)) is not None:
        wanted.append(_c.last_received_at >= since)
    if (until := day_begins(request.until, days_later=1)) is not None:
        wanted.append(_c.last_received_at < until)
    return wanted


def _of_modality(request: WorklistRequest) -> ColumnElement[bool]:
    if not request.modality:
        return and_(True)
    return func.instr("\\" + _c.modalities + "\\", f"\\{request.modality}\\") > 0


def day_begins(words: str, days_later: int = 0) -> float | None:
    """Midnight of a day, YYYY-MM-DD, in the box's own time zone, epoch s; None for what is no day."""
    try:
        day = date.fromisoformat(words) + timedelta(days=days_later)
        return datetime.combine(day, time()).timestamp()
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Options:
    """What the list can be narrowed to: values that decided studies have."""

    modalities: tuple[str, ...]
    scanners: tuple[str, ...]
    packs: tuple[str, ...]


def options(conn: Connection) -> Options:
    """What there is, by index searches."""
    modalities = {one for value in _values(conn, _c.modalities) for one in value.split("\\") if one}
    return Options(tuple(sorted(modalities)), tuple(_values(conn, _c.calling_ae_title)), tuple(_values(conn, _c.pack)))


def _values(conn: Connection, column: ColumnElement[Any]) -> list[str]:
    """The distinct values of an indexed column: each is the least above the one before."""
    found: list[str] = []
    least = select(func.min(column)).where(_c.urgency.is_not(None))
    value = conn.scalar(least)
    while value is not None and len(found) < MOST_OPTIONS:
        found.append(str(value))
        value = conn.scalar(least.where(column > value))
    return found
