"""The file an instance is received into. The library's own lets a full disk end the thread that reads the line."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO, Final, cast

from appliance.ingest.header import Seen
from appliance.ingest.plain_header import HEAD_BYTES
from store_forward.durable import FILE_MODE, begin_to_write
from store_forward.spool import Spool

_AT_A_TIME_BYTES: Final = 262_144
_WORTH_IT_BYTES: Final = 65_536
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class ReceivedFile:
    """What pynetdicom asks of a ``NamedTemporaryFile``, but no call raises.

    When the disk refuses any of it, the rest of the instance is read from the line and dropped, so that the sender
    gets an answer: ``refused`` says why, and such a file is never to be used.
    """

    def __init__(self, spool: Spool) -> None:
        """Make an empty file where the spool's new ones lie, readable by us only, sealed if the home is."""
        self.name = str(spool.incoming / f"{secrets.token_hex(16)}.dcm")
        self.refused: str | None = None
        self._sha256 = hashlib.sha256()
        self._head = bytearray()
        self._size_bytes = 0
        self._begun_bytes = 0
        self._file: BinaryIO | None = None
        self._content: BinaryIO | None = None
        try:
            self._file = cast(BinaryIO, os.fdopen(os.open(self.name, _NEW, FILE_MODE), "wb", buffering=0))
            self._content = self._file if spool.seal is None else spool.seal.writer(self._file)
        except OSError as error:
            self._give_up(error)

    @property
    def file(self) -> ReceivedFile:
        """The library flushes this after each fragment."""
        return self

    @property
    def seen(self) -> Seen:
        """What was written; taken while the rest is still on the line."""
        return Seen(self._sha256.hexdigest(), self._size_bytes, bytes(self._head))

    def write(self, data: bytes | memoryview) -> int:
        """Write all of ``data`` at the end; nothing more once the disk has refused."""
        left = memoryview(data)
        self._sha256.update(left)
        self._size_bytes += len(left)
        if (wanting := HEAD_BYTES - len(self._head)) > 0:
            self._head += left[:wanting]
        try:
            while left and self._content is not None:
                left = left[self._content.write(left) :]
        except OSError as error:
            self._give_up(error)
        self._begin_to_write(_AT_A_TIME_BYTES)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """No more will come."""
        content, self._content = self._content, None
        try:
            if content is not None and content is not self._file:
                content.close()
        except OSError as error:
            self._give_up(error)
        self._begin_to_write(_WORTH_IT_BYTES)
        self._let_go()

    def discard(self) -> None:
        """It is not going to be whole."""
        self._content = None
        self._let_go()
        with contextlib.suppress(OSError):  # the sweep of the folder removes it
            Path(self.name).unlink(missing_ok=True)

    def __del__(self) -> None:
        """An association that ended in the middle of it has told nobody."""
        if getattr(self, "_file", None) is not None:
            self.discard()

    def _begin_to_write(self, least_bytes: int) -> None:
        """Have the disk begin with what is new, if it is so much: while more arrives, or the header is read."""
        if self._file is not None and self._size_bytes - self._begun_bytes >= least_bytes:
            self._begun_bytes = self._size_bytes
            begin_to_write(self._file)

    def _let_go(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.refused = error.strerror or "I/O error"
        self._content = None
        self._let_go()
        with contextlib.suppress(OSError):  # the sweep of the folder removes what this leaves
            Path(self.name).unlink(missing_ok=True)
