"""The file an instance is received into. The library's own lets a full disk end the thread that reads the line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from store_forward.durable import FILE_MODE


class ReceivedFile:
    """What pynetdicom asks of a ``NamedTemporaryFile``, but no call raises.

    When the disk refuses any of it, the rest of the instance is read from the line and dropped, so that the sender
    gets an answer: ``refused`` says why, and such a file is never to be used.
    """

    def __init__(self, folder: Path) -> None:
        """Make an empty file in ``folder``, readable by us only."""
        self.name = str(folder / f"{secrets.token_hex(16)}.dcm")
        self.refused: str | None = None
        self._sha256 = hashlib.sha256()
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            self._give_up(error)

    @property
    def file(self) -> ReceivedFile:
        """The library flushes this after each fragment."""
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of what was written, in lower-case hexadecimal; taken while the rest is still on the line."""
        return self._sha256.hexdigest()

    def write(self, data: bytes | memoryview) -> int:
        """Write all of ``data`` at the end; nothing more once the disk has refused."""
        left = memoryview(data)
        self._sha256.update(left)
        try:
            while left and self._descriptor is not None:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self._give_up(error)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """No more will come."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def discard(self) -> None:
        """It is not going to be whole."""
        self.close()
        with contextlib.suppress(OSError):  # the sweep of the folder removes it
            Path(self.name).unlink(missing_ok=True)

    def _give_up(self, error: OSError) -> None:
        self.refused = error.strerror or "I/O error"
        with contextlib.suppress(OSError):  # the sweep of the folder removes what this leaves
            self.close()
            Path(self.name).unlink(missing_ok=True)
