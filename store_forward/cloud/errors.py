"""What the endpoint raises; the class says who reacts."""

from __future__ import annotations


class UploadRefused(Exception):
    """A request about an upload is answered with ``status`` and ``why``; ``offset`` is told when it is known."""

    def __init__(self, status: int, why: str, *, offset: int | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.offset = offset
        self.retry_after_s = retry_after_s


class AlreadyRunning(Exception):
    """Another process has this role for the same home folder."""
