"""The wire between two network namespaces: passes IP packets on, each after half a round trip. A program of its own.

``python relay.py NAMESPACE NAMESPACE ROUND_TRIP_S`` makes a TUN device called ``line`` in both and says so. The delay
lies below TCP, which therefore sees it, as it would with ``netem``, which not every kernel has.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
_LARGEST_PACKET_BYTES = 65_536
_MOST_ON_THE_WAY = 100_000  # packets; what the line cannot carry is dropped before it, by tc

_Waiting = deque[tuple[float, bytes]]


def enter(namespace: Path) -> None:
    """This thread, and whatever threads and sockets it makes from here on, is in the network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")
    finally:
        os.close(descriptor)


def _tun(namespace: Path) -> int:
    enter(namespace)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", b"line", _IFF_TUN | _IFF_NO_PI))
    return device


def _take_in(device: int, waiting: _Waiting, delay_s: float) -> None:
    with suppress(BlockingIOError):
        while len(waiting) < _MOST_ON_THE_WAY:
            packet = os.read(device, _LARGEST_PACKET_BYTES)
            waiting.append((time.monotonic() + delay_s, packet))


def _pass_on(device: int, waiting: _Waiting) -> None:
    while waiting and waiting[0][0] <= time.monotonic():
        with suppress(OSError):  # the line is down at the other end, or full: the packet is lost
            os.write(device, waiting.popleft()[1])


def main() -> None:
    """Relay until standard input ends."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # a wire does not wait for a busy machine
    devices = [_tun(Path(name)) for name in sys.argv[1:3]]
    delay_s = float(sys.argv[3]) / 2
    ways: list[tuple[int, int, _Waiting]] = [(*devices, deque()), (*reversed(devices), deque())]  # type: ignore[list-item]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        now = time.monotonic()
        pauses = [max(waiting[0][0] - now, 0.0) for _, _, waiting in ways if waiting]
        readable, _, _ = select.select([0, *devices], [], [], min(pauses, default=None))
        if 0 in readable and not os.read(0, 1):
            return
        for source, target, waiting in ways:
            if source in readable:
                _take_in(source, waiting, delay_s)
            _pass_on(target, waiting)


if __name__ == "__main__":
    main()
