"""What became of studies by day or week, pack and scanner: counted from an index, no study is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, case, cast, func, select

from appliance.disk.days import day_of
from appliance.labels import labels
from appliance.schema import Agreement, decided_day, studies

DAY_S = 86_400.0
#: 1970-01-01 was a Thursday; a week begins on Monday.
_THURSDAY = 3
BINS = 10
MOST_SCANNERS = 50


@dataclass(frozen=True)
class Span:
    """A kind of time step: ``days`` long, ``steps`` of them on a plot."""

    name: str
    days: int
    steps: int

    def step_of(self, at: float) -> int:
        """The number of the step that ``at`` (epoch s, UTC) falls into."""
        return self.step_of_day(day_of(at))

    def step_of_day(self, day: int) -> int:
        """The number of the step that a day since 1970-01-01 falls into."""
        return (day + (_THURSDAY if self.days == 7 else 0)) // self.days

    def begins(self, step: int) -> float:
        """When it begins, epoch s."""
        return (step * self.days - (_THURSDAY if self.days == 7 else 0)) * DAY_S

    def since(self, now: float) -> float:
        """When the first step of a plot begins."""
        return self.begins(self.step_of(now) - self.steps + 1)


DAYS, WEEKS = Span("day", 1, 28), Span("week", 7, 26)


@dataclass
class Tally:
    """Studies by their decision on the box, and what cloud and people said of them.

    ``agreed`` and ``disagreed`` are the full model's, ``confirmed`` and ``corrected`` people's.
    """

    routine: int = 0
    urgent: int = 0
    escalate: int = 0
    not_triaged: int = 0
    agreed: int = 0
    disagreed: int = 0
    confirmed: int = 0
    corrected: int = 0

    @property
    def settled(self) -> int:
        """Decided on the box, one way or the other."""
        return self.routine + self.urgent

    @property
    def read(self) -> int:
        """All that a model has read."""
        return self.settled + self.escalate

    def count(self, what: str, number: int) -> None:
        """Count so many more of one kind."""
        setattr(self, what, getattr(self, what) + number)

    def add(self, other: Tally) -> None:
        """Count those of another as well."""
        for name in self.__dataclass_fields__:
            self.count(name, getattr(other, name))


@dataclass(frozen=True)
class Cell:
    """One step of time, one pack (with its version; empty where none has read them), one scanner."""

    step: int
    pack: str
    scanner: str
    tally: Tally = field(default_factory=Tally)


def cells(conn: Connection, span: Span, now: float) -> list[Cell]:
    """Every cell of a plot's time up to ``now``."""
    found: dict[tuple[int, str, str], Cell] = {}
    for day, pack, version, scanner, decision, agreement, basis, number in conn.execute(count_days(span, now)):
        key = span.step_of_day(day), pack_name(pack, version), scanner
        cell = found.setdefault(key, Cell(*key))
        cell.tally.count(decision, number)
        if agreement is not None and basis != "features":
            cell.tally.count("agreed" if agreement == Agreement.AGREES else "disagreed", number)
    for day, pack, version, scanner, box, said in said_by_people(conn, span, now):
        key = span.step_of_day(day), pack_name(pack, version), scanner
        found.setdefault(key, Cell(*key)).tally.count("confirmed" if said == box else "corrected", 1)
    return list(found.values())


def pack_name(pack: str | None, version: str | None) -> str:
    """A pack with its version, or nothing."""
    return f"{pack} {version or ''}".strip() if pack else ""


def count_days(span: Span, now: float) -> Select[Any]:
    """The query: it walks an index in its order, so that it needs neither a study's row nor a sort."""
    c = studies.c
    kinds = (decided_day, c.pack, c.pack_version, c.calling_ae_title, c.decision, c.agreement, c.answer_basis)
    return select(*kinds, func.count()).where(*_within(span.since(now), now)).group_by(*kinds)


def said_by_people(conn: Connection, span: Span, now: float) -> Iterable[Any]:
    """The latest label of every study where the box had taken a side; few, as people make them one by one."""
    c, said = studies.c, labels.c
    latest = select(func.max(said.id)).group_by(said.study_instance_uid)
    query = (
        select(decided_day, said.pack, said.pack_version, c.calling_ae_title, said.box_decision, said.decision)
        .join(studies, c.study_instance_uid == said.study_instance_uid)
        .where(said.id.in_(latest), said.box_decision.in_(("routine", "urgent")))
    )
    return conn.execute(query.where(*_within(span.since(now), now)))


@dataclass(frozen=True)
class Scores:
    """How many studies of one step have their probability in each tenth of 0..1."""

    step: int
    counts: tuple[int, ...]


def scores(conn: Connection, span: Span, now: float, pack: str, scanner: str | None) -> list[Scores]:
    """The probabilities that decisions of one pack rested on, for one scanner or all."""
    c = studies.c
    tenth = func.min(cast(c.abnormality * BINS, Integer), BINS - 1)
    kinds = (decided_day, tenth)
    query = select(*kinds, func.count()).where(*_within(span.since(now), now), c.abnormality.is_not(None))
    name, _, version = pack.rpartition(" ")
    query = query.where(c.pack == name, c.pack_version == version)
    if scanner is not None:
        query = query.where(c.calling_ae_title == scanner)
    found: dict[int, list[int]] = {}
    for day, at, number in conn.execute(query.group_by(*kinds)):
        found.setdefault(span.step_of_day(day), [0] * BINS)[max(at, 0)] += number
    return [Scores(step, tuple(counts)) for step, counts in sorted(found.items())]


def reasons(conn: Connection, span: Span, now: float, scanner: str | None) -> dict[str, int]:
    """Why studies were not triaged, the most frequent first."""
    c = studies.c
    query = select(func.coalesce(c.reason, ""), func.count())
    query = query.where(*_within(span.since(now), now), c.decision == "not_triaged")
    if scanner is not None:
        query = query.where(c.calling_ae_title == scanner)
    rows = conn.execute(query.group_by(c.reason).order_by(func.count().desc(), c.reason))
    return {reason: number for reason, number in rows}


@dataclass(frozen=True)
class Week:
    """Studies of one image that a pack has read with its own lines since some time: what a promise is held against."""

    pack: str
    scanner: str
    settled: int
    studies: int


def single_images(conn: Connection, since: float, now: float) -> list[Week]:
    """For each pack and scanner, those with most studies first."""
    c = studies.c
    kinds = (c.pack, c.pack_version, c.calling_ae_title)
    settled = _number(c.decision.in_(("routine", "urgent")))
    query = (
        select(*kinds, settled, func.count())
        .where(*_within(since, now), c.instance_count == 1, c.lines_set_by == "", c.pack.is_not(None))
        .where(c.decision.in_(("routine", "urgent", "escalate")))
        .group_by(*kinds)
        .order_by(func.count().desc(), *kinds)
        .limit(MOST_SCANNERS)
    )
    return [Week(pack_name(row[0], row[1]), row[2], int(row[3]), row[4]) for row in conn.execute(query)]


def total(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    together = Tally()
    for one in tallies:
        together.add(one)
    return together


def _within(since: float, until: float) -> tuple[ColumnElement[bool], ...]:
    """Whole days; what a clock that was ahead has dated into the future is left out, as nothing can be plotted there.

    The last condition follows from the others, but SQLite takes the index only where it is said.
    """
    return decided_day >= day_of(since), decided_day <= day_of(until), studies.c.decided_at.is_not(None)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
