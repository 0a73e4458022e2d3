"""The disk says EIO or ENOSPC at the Nth call: no success for what is not held, and the box works when it is over.

``POINTS=all make crash`` tries every one; without that, some of each kind of each process.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.points import POINTS, Point, drawn, traced_calls, try_all, whole_account
from tests.crash.small_site import NAMES, small_sites
from tests.crash.strace import most_by_one_thread, new_files

pytestmark = [
    pytest.mark.crash,
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
_CALLS = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "write", "pwrite64")
_SITES = 2
_LASTS_S = 1.0  # a disk that stays full until somebody makes room, and the box has met it more than once


def _points(traces: dict[str, Path]) -> Iterator[Point]:
    """Each error once at each call, and a full disk from each fifth call on."""
    for name, trace in traces.items():
        numbers = {call: range(1, most + 1) for call, most in most_by_one_thread(trace).items() if call in _CALLS}
        for call, places in (numbers | {"openat": new_files(trace)}).items():
            for number in places:
                for error in ("EIO", "ENOSPC"):
                    yield Point(name, call, number, f"error={error}:when={number}")
                if number % 5 == 1:
                    yield Point(name, call, number, f"error=ENOSPC:when={number}+", _LASTS_S)


@pytest.mark.timeout(7200)
def test_a_disk_error_at_any_system_call_loses_doubles_and_strands_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each process meets the error; whoever was told 0x0000 can rely on it, everyone else can send again."""

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="", flush=True)  # noqa: T201

    with small_sites(tmp_path, _SITES) as sites:
        points = list(_points(traced_calls(sites[0], (*_CALLS, "openat"))))
        tried = try_all(sites, drawn(points, POINTS, random.Random(20264)), tell)
        account = whole_account(sites, tried)
        statuses = Counter(one for site in sites for told in site.told.statuses.values() for one in told)
    met = Counter(one.point.process for one in tried if one.reached)
    by_process = ", ".join(f"{name} {met[name]}" for name in NAMES)
    tell(f"{len(tried)} of {len(points)} points, {met.total()} met an error there ({by_process}): {account}")
    told = ", ".join(f"{'broken' if one is None else f'0x{one:04X}'} {times}" for one, times in statuses.most_common())
    tell(f"{sum(one.ended for one in tried)} ended the process; what senders were told: {told}")
    assert account.clean, "\n".join([*account.lost, *account.duplicated, *account.stranded])
    assert met.total() >= 0.8 * len(tried)
    assert len(tried) < len(NAMES) or set(met) == set(NAMES)
