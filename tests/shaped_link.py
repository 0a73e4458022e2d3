"""A link with a round trip, a rate and cuts: a TCP proxy in user space, for tests."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE_BYTES = 4096
_SOCKET_BUFFER_BYTES = 16_384
"""Little lies in the proxy's own buffers, so that what it has read has been sent."""

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class ShapedLink:
    """Passes connections on to ``port``. What goes up shares ``bytes_per_s``, None: as fast as it can.

    ``cuts``: each time so many bytes in all have come from the near side, every connection breaks at once.
    ``round_trip_s`` is added once to each connection's beginning and by halves to what goes either way.
    """

    port: int
    bytes_per_s: float | None = None
    round_trip_s: float = 0.0
    cuts: Sequence[int] = ()
    sent_bytes: int = 0
    cuts_made: int = 0
    _free_at: float = 0.0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Relay in a thread of its own; gives the near side's port."""
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER_BYTES)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            loop = asyncio.new_event_loop()
            serving = asyncio.start_server(self._relay, sock=listener, limit=_PIECE_BYTES)
            server = loop.run_until_complete(serving)
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            try:
                yield listener.getsockname()[1]
            finally:
                asyncio.run_coroutine_threadsafe(self._close(server), loop).result(20.0)
                loop.call_soon_threadsafe(loop.stop)
                thread.join(20.0)
                loop.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.round_trip_s)
        with suppress(OSError):
            far = await asyncio.open_connection("127.0.0.1", self.port, limit=_PIECE_BYTES)
            self._open |= {writer, far[1]}
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump((reader, far[1]), upward=True))
                both.create_task(self._pump((far[0], writer), upward=False))
            self._open -= {writer, far[1]}
        writer.close()

    async def _pump(self, streams: _Streams, *, upward: bool) -> None:
        """Read at the link's rate, and write what has been on its way for half a round trip."""
        on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.create_task(self._arrive(on_its_way, streams[1]))
        clock = asyncio.get_running_loop().time
        data = b" "
        while data:
            try:
                data = await streams[0].read(_PIECE_BYTES)
            except OSError:
                data = b""
            if upward:
                await self._account(len(data))
            on_its_way.put_nowait((clock() + self.round_trip_s / 2, data))
        await writing

    async def _arrive(self, on_its_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        data = b" "
        with suppress(OSError):
            while data:
                at, data = await on_its_way.get()
                await asyncio.sleep(max(at - clock(), 0.0))
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _account(self, size_bytes: int) -> None:
        """Count, wait for the line to be free, and cut where a cut is due."""
        self.sent_bytes += size_bytes
        clock = asyncio.get_running_loop().time
        if self.bytes_per_s is not None:
            self._free_at = max(self._free_at, clock()) + size_bytes / self.bytes_per_s
            await asyncio.sleep(self._free_at - clock())
        if self.cuts_made < len(self.cuts) and self.sent_bytes >= self.cuts[self.cuts_made]:
            self.cuts_made += 1
            for writer in self._open:
                writer.transport.abort()

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        for writer in self._open:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
