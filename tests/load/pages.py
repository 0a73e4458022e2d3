"""Many browsers at one page: open streams that fetch the fragment at every change, and requests beside them.

``python -m tests.load.pages PORT PAGES REQUESTS_PER_S`` until its standard input ends; then one line of JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field

#: What is asked for beside the streams, in turn.
PATHS = ("/", "/box", "/link", "/api/status", "/api/v1/studies", "/metrics", "/fragments/?show=urgent", "/readyz")


@dataclass
class Visitors:
    """All of them at one box; ``times_ms`` of every answer."""

    port: int
    times_ms: list[float] = field(default_factory=list)
    failures: int = 0
    streams: int = 0

    async def get(self, path: str) -> None:
        """One request, its whole answer read."""
        began = time.perf_counter()
        status, _ = await self._answer(path)
        self.failures += status != 200
        self.times_ms.append((time.perf_counter() - began) * 1000)

    async def watch(self) -> None:
        """An open page: the stream, and the fragment at every change of the state."""
        reader, writer = await self._ask("/events")
        await reader.readuntil(b"\r\n\r\n")
        self.streams += 1
        shown = b""
        try:
            while line := await reader.readline():
                if line.startswith(b"data:") and line != shown:
                    shown = line
                    await self.get("/fragments/")
        finally:
            writer.close()

    async def ask_steadily(self, per_s: float) -> None:
        """One request after another is begun, whether those before have been answered or not."""
        begun = time.perf_counter()
        tasks = set[asyncio.Task[None]]()
        for number, path in enumerate(itertools.cycle(PATHS)):
            await asyncio.sleep(max(begun + number / per_s - time.perf_counter(), 0.0))
            task = asyncio.create_task(self.get(path))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _ask(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n\r\n".encode())
        return reader, writer

    async def _answer(self, path: str) -> tuple[int, bytes]:
        reader, writer = await self._ask(path)
        try:
            content = await reader.read(-1)
        finally:
            writer.close()
        return int(content[9:12] or 0), content


async def _visit(port: int, pages: int, per_s: float) -> None:
    visitors = Visitors(port)
    tasks = [asyncio.create_task(visitors.watch()) for _ in range(pages)]
    tasks.append(asyncio.create_task(visitors.ask_steadily(per_s)))
    while visitors.streams < pages:
        await asyncio.sleep(0.05)
    sys.stdout.write("all are there\n")
    sys.stdout.flush()
    began = time.perf_counter()
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    times = visitors.times_ms or [0.0]
    figures = {
        "answers": len(visitors.times_ms),
        "failures": visitors.failures,
        "seconds": round(time.perf_counter() - began, 2),
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(sorted(times)[int(len(times) * 0.95)], 1),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    os.nice(10)  # browsers are on other machines: only what they ask for is to cost the box anything
    asyncio.run(_visit(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
