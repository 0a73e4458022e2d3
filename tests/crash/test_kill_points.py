"""kill -9 at the Nth system call of each kind, for the N that occur: lost 0, duplicated 0, stranded 0.

``POINTS=all make crash`` tries every one; without that, some of each kind of each process.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from tests.crash.points import POINTS, Point, drawn, traced_calls, try_all, whole_account
from tests.crash.small_site import NAMES, small_sites
from tests.crash.strace import most_by_one_thread

pytestmark = [
    pytest.mark.crash,
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]
#: What makes something durable or tells somebody; then what takes or releases a lock of the database, takes something
#: in from somebody, or makes and removes a name.
_CALLS = (
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "write", "pwrite64", "sendto"),
    *("fcntl", "pread64", "connect", "accept4", "recvfrom", "mkdir", "unlink"),
)
_SITES = 3


@pytest.mark.timeout(7200)
def test_a_kill_at_any_system_call_loses_doubles_and_strands_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Receiver, worker, uplink, cloud endpoint and analysis die just before the call; everything drains afterwards."""
    with small_sites(tmp_path, _SITES) as sites:
        points = [
            Point(name, call, number, f"signal=KILL:when={number}")
            for name, trace in traced_calls(sites[0], _CALLS).items()
            for call, most in sorted(most_by_one_thread(trace).items())
            for number in range(1, most + 1)
        ]
        chosen = drawn(points, POINTS, random.Random(20264))

        def tell(line: str) -> None:
            with capsys.disabled():
                print(f"\n{line}", end="", flush=True)  # noqa: T201

        tried = try_all(sites, chosen, tell)
        account = whole_account(sites, tried)
    killed = Counter(one.point.process for one in tried if one.ended)
    by_process = ", ".join(f"{name} {killed[name]}" for name in NAMES)
    tell(f"{len(tried)} of {len(points)} points, {killed.total()} killed there ({by_process}): {account}")
    assert account.clean, "\n".join([*account.lost, *account.duplicated, *account.stranded])
    assert killed.total() >= 0.8 * len(tried)
    assert len(tried) < len(NAMES) or set(killed) == set(NAMES)
