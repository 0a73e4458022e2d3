"""Spoiled files through everything that reads them: a picture or a reason, within time and memory, and no crash."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from models.reasons import Reason
from tests.fuzz.mutations import mutated
from tests.fuzz.reading import MOST_MEMORY_BYTES
from tests.fuzz.rounds import first, spoiled_files
from tests.fuzz.seeds import seeds

_BATCH = 2_000


def test_spoiled_files_are_read_or_refused() -> None:
    """A process of its own for each batch; whichever file ends it is named by its number."""
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    peak, at, end = 0, first(), first() + spoiled_files()
    while at < end:
        said, trouble = _read(at, min(at + _BATCH, end))
        outcomes.update(said)
        peak = max([peak, *(int(line.split()[1]) for line in said if line.startswith("peak"))])
        done = len([line for line in said if not line.startswith("peak")])
        if trouble:
            failures.append(f"file {at + done}: {trouble}")
            done += 1
        at += done
    for line in [line for line in outcomes if line.startswith("peak")]:
        del outcomes[line]
    print(f"\n{sum(outcomes.values())} files: {dict(outcomes.most_common())}; {peak >> 20} MiB at most")  # noqa: T201
    assert not failures
    assert set(outcomes) <= {"read", *Reason}
    assert outcomes["read"] > sum(outcomes.values()) // 20
    assert peak < MOST_MEMORY_BYTES


def _read(start: int, end: int) -> tuple[list[str], str]:
    """What became of each file, and what ended the process before the last one; empty if nothing did."""
    command = [sys.executable, "-m", "tests.fuzz.reading", str(start), str(end)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in ended.stdout.splitlines() if not line.isdigit()]
    if ended.returncode == 0:
        assert len(said) == end - start + 1
        return said, ""
    return said, f"status {ended.returncode}\n{ended.stderr[-2000:]}"


def test_the_same_number_is_the_same_file() -> None:
    """Otherwise nobody could look at what failed."""
    assert [mutated(seeds(), number) for number in range(50)] == [mutated(seeds(), number) for number in range(50)]
