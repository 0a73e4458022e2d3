"""Where a process can be hurt: the Nth call of each kind, for every N that occurs in a run; and one try at each."""

from __future__ import annotations

import itertools
import os
import queue
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.crash.history import Account, account_of
from tests.crash.small_site import NAMES, SmallSite
from tests.crash.strace import counted, spoiled, was_spoiled

#: How many points are tried, evenly over processes and calls; ``all`` for every one.
POINTS = os.environ.get("POINTS", "24")

_REACHED_S = 20.0  # a point that has not been reached by then is not reached in this run


@dataclass(frozen=True)
class Point:
    """The ``number``-th ``call`` of one thread of ``process``, and what befalls it there, in strace's words.

    ``lasts_s`` is for what goes on from there: how long it does. None: once.
    """

    process: str
    call: str
    number: int
    what: str
    lasts_s: float | None = None

    def __str__(self) -> str:
        """As it is told."""
        return f"{self.process} {self.call} {self.what}"


@dataclass(frozen=True)
class Tried:
    """What came of a point: whether it was reached, whether the process ended, and whether all settled in time."""

    point: Point
    reached: bool
    ended: bool
    settled: bool


def traced_calls(site: SmallSite, calls: Sequence[str]) -> dict[str, Path]:
    """For each process, the trace from its start until one batch of images is settled."""
    return {name: _trace_of(site, name, calls) for name in NAMES}


def _trace_of(site: SmallSite, name: str, calls: Sequence[str]) -> Path:
    trace = site.folder / f"{name}.trace"
    images = site.new_images()
    with ExitStack() as tracer:

        def attach(pid: int) -> None:
            tracer.enter_context(counted(pid, calls, trace))

        site.replace(name, attach)
        last = site.warn()
        site.send(images)
        assert site.settles(images) and site.hears(last), f"the box does not work while {name} is traced"
    return trace


def drawn(points: Sequence[Point], wanted: str, rng: random.Random) -> list[Point]:
    """``wanted`` of the points, evenly over processes and calls; all of them for ``all`` or a large number."""
    groups: dict[str, dict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in rng.sample(points, len(points)):
        groups[point.process][point.call].append(point)
    in_turn = _in_turn(_in_turn(calls.values()) for calls in groups.values())
    return in_turn if wanted == "all" else in_turn[: int(wanted)]


def _in_turn(groups: Iterable[list[Point]]) -> list[Point]:
    """The first of each group, then the second of each, until all are empty."""
    return [one for turn in itertools.zip_longest(*groups) for one in turn if one is not None]


def attempt(site: SmallSite, point: Point) -> Tried:
    """Start the process anew, let it be hurt while images flow, and see whether all settles when the hurt is over."""
    images = left = site.new_images()
    last = site.warn()
    trace = site.folder / "hurt.trace"
    with ExitStack() as tracer:

        def attach(pid: int) -> None:
            tracer.enter_context(spoiled(pid, point.call, point.what, trace))

        hurt = site.replace(point.process, attach)
        until = time.monotonic() + (point.lasts_s or _REACHED_S)
        while time.monotonic() < until and not site.settled(images):
            left = site.send_once(left)
            if site.running(point.process).pid != hurt.pid or (point.lasts_s is None and was_spoiled(trace)):
                break
            time.sleep(0.05)
    settled = not site.send(left) and site.settles(images) and site.hears(last)
    ended = site.running(point.process).pid != hurt.pid
    return Tried(point, ended or was_spoiled(trace), ended, settled)


def try_all(sites: Sequence[SmallSite], points: Sequence[Point], tell: Callable[[str], None]) -> list[Tried]:
    """Each point at one of the sites, several at a time."""
    waiting: queue.SimpleQueue[Point] = queue.SimpleQueue()
    for point in points:
        waiting.put(point)
    tried: list[Tried] = []

    def work(site: SmallSite) -> None:
        for point in _taken(waiting):
            tried.append(attempt(site, point))
            if not tried[-1].settled:
                tell(f"not settled in time: {point}")
            if len(tried) % 50 == 0:
                tell(f"{len(tried)} of {len(points)} points")

    with ThreadPoolExecutor(len(sites)) as threads:
        list(threads.map(work, sites))
    return tried


def whole_account(sites: Sequence[SmallSite], tried: Sequence[Tried]) -> Account:
    """What became of everything at all sites; what did not settle in time counts as stranded, even if it did later."""
    account = Account(stranded=[f"not settled in time after {one.point}" for one in tried if not one.settled])
    for site in sites:
        account.add(account_of(site))
    return account


def _taken(waiting: queue.SimpleQueue[Point]) -> Iterator[Point]:
    while True:
        try:
            yield waiting.get_nowait()
        except queue.Empty:
            return
