"""Real processes of box and cloud, forked from one that has everything imported: 0.1 s each instead of seconds.

Only the shipped packs are left out, which take as long again to open; the processes are otherwise those of
``scanside serve`` and ``scanside cloud``, and whoever starts them here stands in for the supervisor.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from appliance import packs
from appliance.commands.serving import run_supervised
from store_forward.cloud import serve

_FORK_SERVER = multiprocessing.get_context("forkserver")
_READY = b"waits to be released"
_PR_SET_PTRACER = 0x59616D61  # prctl(2), Yama
_FORK_SERVER.set_forkserver_preload([__name__])


@dataclass
class Running:
    """One process; ``orders`` is the other end of its standard input, which the supervisor would hold."""

    process: ForkServerProcess
    orders: Connection

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    def release(self) -> None:
        """Let it begin; until then it waits, so that a tracer can be attached first."""
        os.write(self.orders.fileno(), b".")

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.is_alive()

    def kill(self) -> None:
        """Kill -9 and wait for the end."""
        self.process.kill()
        self.process.join(20.0)
        self.orders.close()

    def stop(self) -> int | None:
        """End its input, as the end of the supervisor does, and wait; its exit code."""
        self.orders.close()
        self.process.join(20.0)
        return self.process.exitcode


def fork(name: str, config: Path, log: Path, token: str) -> Running:
    """A process called ``name``, which waits for :meth:`Running.release`."""
    theirs, ours = multiprocessing.Pipe()
    process = _FORK_SERVER.Process(target=_play, args=(name, config, log, token, theirs), daemon=True)
    process.start()
    theirs.close()
    assert ours.recv_bytes() == _READY
    return Running(process, ours)


def _play(name: str, config: Path, log: Path, token: str, ready: Connection) -> None:
    os.dup2(ready.fileno(), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1))  # where only a parent may trace
    os.environ["SCANSIDE_CLOUD_TOKEN"] = token
    vars(packs)["SHIPPED"] = vars(serve)["SHIPPED"] = config.parent / "no packs"
    ready.send_bytes(_READY)
    ready.close()
    os.read(0, 1)
    run_supervised(name, config)
