"""HTTP connections on which nothing comes end, so that a thousand half requests hold nobody up (slow loris)."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_WITHIN_S: Final = 20.0
"""From the first byte, or from the connection, to the end of headers; between requests uvicorn's own time counts."""


class TimedConnection(H11Protocol):
    """For ``uvicorn.Config(http=...)``. How long a body takes is for whoever reads it."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The time runs."""
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        """It runs on until a request is whole, however many pieces come meanwhile."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._end()
        elif self._deadline is None:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to end."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_WITHIN_S, self.transport.abort)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
