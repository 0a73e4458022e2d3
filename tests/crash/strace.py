"""strace, attached to a process: counts its system calls, or spoils the Nth of one kind.

N counts the calls of one thread, which is how strace counts: whichever thread first makes its Nth call is hit.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ATTACH_S = 20.0
_LET_GO_S = 3.0
_TRACED_CALL = re.compile(r"^(\d+) +(\w+)\(")


def strace_command() -> str:
    """Where strace is. A missing one fails the run, and says what to do."""
    found = shutil.which("strace")
    assert found, "strace is missing; make crash and make interop install it (apt-get install strace)"
    return found


@contextmanager
def counted(pid: int, calls: Sequence[str], trace: Path) -> Iterator[None]:
    """Write the calls of the process to ``trace`` while the block runs."""
    with _attached(pid, ["-e", f"trace={','.join(calls)}", "-o", str(trace)]):
        yield


@contextmanager
def spoiled(pid: int, call: str, what: str, trace: Path) -> Iterator[None]:
    """``what`` befalls the process at ``call`` while the block runs: ``signal=KILL:when=3``, ``error=EIO:when=2``."""
    with _attached(pid, ["-e", f"trace={call}", "-e", f"inject={call}:{what}", "-o", str(trace)]):
        yield


def was_spoiled(trace: Path) -> bool:
    """Whether an error was put in place of a call's result, by the trace of :func:`spoiled`."""
    return "(INJECTED)" in trace.read_text(errors="replace")


def most_by_one_thread(trace: Path) -> dict[str, int]:
    """For each call, how often the thread made it that made it most often."""
    made = Counter(found.groups() for line in trace.read_text().splitlines() if (found := _TRACED_CALL.match(line)))
    most: dict[str, int] = {}
    for (_, call), number in made.items():
        most[call] = max(most.get(call, 0), number)
    return most


def new_files(trace: Path) -> list[int]:
    """Which of a thread's ``openat`` calls make a file: their numbers, those of all threads together."""
    opened: Counter[str] = Counter()
    making = set()
    for line in trace.read_text().splitlines():
        if (found := _TRACED_CALL.match(line)) and found[2] == "openat":
            opened[found[1]] += 1
            if "O_CREAT" in line:
                making.add(opened[found[1]])
    return sorted(making)


@contextmanager
def _attached(pid: int, arguments: list[str]) -> Iterator[None]:
    command = [strace_command(), "-f", "-qq", *arguments, "-p", str(pid)]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        give_up = time.monotonic() + _ATTACH_S
        while not _traced(pid):
            assert tracer.poll() is None and time.monotonic() < give_up, "strace could not attach to the process"
            time.sleep(0.002)
        yield
    finally:
        _let_go(tracer)


def _let_go(tracer: subprocess.Popen[bytes]) -> None:
    """End strace; a traced process that still lives goes on, also when strace is killed (ptrace(2))."""
    tracer.send_signal(signal.SIGINT)
    try:
        tracer.communicate(timeout=_LET_GO_S)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.communicate(timeout=_LET_GO_S)


def _traced(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return "\nTracerPid:\t0\n" not in status
