"""Keeps the box's processes alive: restarts are bounded and backed off, and a stop settles everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()
#: What has not ended by then is killed, which loses nothing; a stop is over within ten seconds.
STOP_GRACE_S = 9.0
#: Set in the environment of a supervisor that must not outlive whoever holds the other end of its standard input.
END_WITH_INPUT = "SCANSIDE_END_WITH_INPUT"


def restart_delay_s(exits: Sequence[float], now: float, per_minute: int) -> float:
    """How long to wait before starting a process again.

    Each exit within the last minute doubles the pause from 0.2 s; past ``per_minute`` exits the rest of that minute
    is waited out, so a process that cannot live costs a bounded amount of work and still comes back by itself.
    """
    recent = [exit_at for exit_at in exits if now - exit_at < 60.0]
    if not recent:
        return 0.0
    if len(recent) >= per_minute:
        return max(60.0 - (now - recent[0]), 1.0)
    return float(min(0.2 * 2.0 ** min(len(recent) - 1, 10), 5.0))


@dataclass
class _Child:
    name: str
    process: subprocess.Popen[bytes] | None = None
    exits: list[float] = field(default_factory=list)
    start_at: float = 0.0
    restarts: int = 0


class Supervisor:
    """Runs one command line per name and starts each again when it ends; those that are ``held`` are not started."""

    def __init__(self, commands: dict[str, list[str]], restarts_per_minute: int, stop: threading.Event) -> None:
        """``stop`` ends it, see :func:`supervisor_stop`; supervisors that follow one another share it."""
        self._commands = commands
        self._per_minute = restarts_per_minute
        self._children = {name: _Child(name) for name in commands}
        self._stop = stop
        self.held: frozenset[str] = frozenset()

    def renew(self, name: str) -> None:
        """End one process; it is started again at once."""
        process = self._children[name].process
        if process is not None and process.poll() is None:
            process.terminate()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Supervise until ``stop`` is set or ``until`` says so, then end every process within :data:`STOP_GRACE_S`.

        ``until`` is asked ten times a second.
        """
        try:
            while not self._stop.is_set():
                for child in self._children.values():
                    self._tend(child, time.monotonic())
                if until():
                    break
                self._stop.wait(0.1)
        finally:
            self._end_all()

    def _tend(self, child: _Child, now: float) -> None:
        if child.process is not None and child.process.poll() is not None:
            code = child.process.returncode
            _close_input(child.process)
            child.exits = [*(e for e in child.exits if now - e < 60.0), now]
            delay = restart_delay_s(child.exits, now, self._per_minute)
            log.warning("process.ended", process=child.name, exit=code, again_in_s=round(delay, 1))
            child.process, child.start_at = None, now + delay
            child.restarts += 1
        if child.process is None and now >= child.start_at and child.name not in self.held:
            environment = os.environ | {"SCANSIDE_RESTARTS": str(child.restarts)}
            # The pipe on standard input tells a child that its supervisor is gone, however it went.
            child.process = subprocess.Popen(
                self._commands[child.name], stdin=subprocess.PIPE, env=environment, start_new_session=True
            )
            log.info("process.started", process=child.name, pid=child.process.pid)

    def _end_all(self) -> None:
        alive = [c for c in self._children.values() if c.process is not None and c.process.poll() is None]
        for child in alive:
            assert child.process is not None
            child.process.terminate()
        deadline = time.monotonic() + STOP_GRACE_S
        for child in alive:
            assert child.process is not None
            try:
                child.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.warning("process.killed", process=child.name, cause="did not end in time")
                child.process.kill()
                child.process.wait()
        for child in self._children.values():
            if child.process is not None:
                _close_input(child.process)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def supervisor_stop() -> threading.Event:
    """In a supervisor, before it says that it is there: an event that is set by SIGTERM or SIGINT."""
    return _set_by_signals(and_by_end_of_input=bool(os.environ.get(END_WITH_INPUT)))


def stop_event() -> threading.Event:
    """In a child: an event that is set by SIGTERM, SIGINT or the end of the supervisor."""
    return _set_by_signals(and_by_end_of_input=not sys.stdin.isatty())


def _set_by_signals(*, and_by_end_of_input: bool) -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if and_by_end_of_input:
        threading.Thread(target=_await_end_of_input, args=(stop,), daemon=True).start()
    return stop


@contextmanager
def ends_at_once() -> Iterator[None]:
    """While packs are opened and measured: native code that no Python handler interrupts, and nothing to settle."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _await_end_of_input(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()
    os.kill(os.getpid(), signal.SIGTERM)  # for what asks no event, see ends_at_once
