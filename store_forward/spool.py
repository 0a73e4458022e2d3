"""The spool: content-addressed files that stay where they are until somebody has a receipt for them.

``objects/ab/<sha256>`` holds what is kept, ``incoming/`` what is still being written. An object's name is the SHA-256
of its content, so the same content is kept once and damage can be told. In a sealed home the bytes on the disk are
others: :meth:`Spool.path` is where they lie, :meth:`Spool.file` what is read.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from store_forward.durable import (
    FOLDER_MODE,
    StrPath,
    make_folder,
    open_new,
    overwrite,
    publish,
    sync_file,
    sync_folder,
)
from store_forward.errors import SpoolFull
from store_forward.room import Marks, Room, room_at
from store_forward.sealing import ERASED_BY_BYTES, Seal
from store_forward.streaming_aead import content_bytes

_FOLDERS = 256
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredObject:
    """A durable file in the spool: lower-case hexadecimal SHA-256 and length of its content."""

    digest: str
    size_bytes: int


def file_digest(file: BinaryIO) -> str:
    """SHA-256 of the rest of an open file, in lower-case hexadecimal."""
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


class Spool:
    """A folder of durable, content-addressed files. Several processes may use one at the same time."""

    def __init__(
        self, root: Path, free_floor_bytes: int, bulk_bytes: int = 0, warn_bytes: int = 0, seal: Seal | None = None
    ) -> None:
        """Make the folders if they are missing. Raises OSError when they cannot be made.

        The three numbers are the marks of free disk, bytes, at which its :class:`Room` gets less. ``seal`` is that of
        a sealed home.
        """
        self.root = root
        self.seal = seal
        self.marks = Marks(warn_bytes, bulk_bytes, free_floor_bytes)  # the free disk at which each level begins
        self._room = Room.PLENTY
        self.incoming = root / "incoming"
        self._objects = root / "objects"
        make_folder(self.incoming)
        make_folder(self._objects)

    def make_object_folders(self) -> None:
        """All 256 at once. Made one by one, every other image of a new box pays for a folder. Raises OSError."""
        if sum(1 for _ in self._objects.iterdir()) < _FOLDERS:
            for number in range(_FOLDERS):
                (self._objects / f"{number:02x}").mkdir(mode=FOLDER_MODE, exist_ok=True)
            sync_folder(self._objects)

    def free_bytes(self) -> int:
        """Disk space that an unprivileged process could still use, bytes."""
        filesystem = os.statvfs(self.root)
        return filesystem.f_bavail * filesystem.f_frsize

    def room(self, before: Room | None = None) -> Room:
        """The level now; ``before`` is the one until now, where another process knew it."""
        return self._room_at(self.free_bytes(), before)

    def require_room(self, size_bytes: int = 0) -> None:
        """Raise SpoolFull when ``size_bytes`` more would leave less free disk than the floor.

        Once the floor was reached, also until there is room again by the margin that keeps it from flapping.
        """
        free = self.free_bytes()
        full = self._room_at(free) is Room.FULL
        if free - size_bytes < self.marks.floor_bytes:
            raise SpoolFull(free, self.marks.floor_bytes)
        if full:
            raise SpoolFull(free, self.marks.left_at(Room.FULL))

    def _room_at(self, free_bytes: int, before: Room | None = None) -> Room:
        self._room = room_at(free_bytes, self.marks, self._room if before is None else before)
        return self._room

    def temporary(self, size_bytes: int = 0) -> Path:
        """Make an empty file to write into, on the same filesystem as the objects.

        ``size_bytes`` is the length to come, if known. Raises SpoolFull before anything is written.
        """
        self.require_room(size_bytes)
        path = self.incoming / f"{secrets.token_hex(16)}.part"
        open_new(path).close()
        return path

    def content(self, path: Path) -> Path:
        """A file of this spool for those who read or write what is in it, by its ``open``."""
        return path if self.seal is None else self.seal.file(path)

    def keep(self, temporary: Path) -> StoredObject:
        """File a finished file under the digest of its bytes; it is durable when this returns.

        An object that is already there is replaced by the same bytes: that costs one fsync, and makes sure
        of an object whose first writer has not yet reached its own. Raises OSError; nothing may be
        acknowledged then.
        """
        with self.content(temporary).open("rb") as file:
            digest = file_digest(file)
        return self.keep_as(temporary, digest)

    def keep_as(self, temporary: StrPath, digest: str, size_bytes: int | None = None) -> StoredObject:
        """``keep`` for a caller that knows the SHA-256 of the very content of the file, and perhaps its length.

        It does not stay in the page cache: until somebody reads it, others have come, and a page given back at once is
        the next one's.
        """
        final = self._place(digest)
        if not os.path.isdir(folder := os.path.dirname(final)):  # asked here: a Path for every image costs more
            make_folder(Path(folder))
        size_bytes = self.content_bytes(temporary) if size_bytes is None else size_bytes
        publish(temporary, final, cached=False)
        return StoredObject(digest, size_bytes)

    def keep_bytes(self, data: bytes) -> StoredObject:
        """Keep ``data``; durable when this returns. Raises SpoolFull, OSError."""
        temporary = self.temporary(len(data))
        try:
            with self.content(temporary).open("wb") as file:
                file.write(data)
            return self.keep_as(temporary, hashlib.sha256(data).hexdigest())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def path(self, digest: str) -> Path:
        """Where the object lies, or would lie. Raises ValueError for anything that is not a SHA-256."""
        return Path(self._place(digest))

    def holds(self, digest: str) -> bool:
        """Whether there is a file where the object lies. Raises ValueError as :meth:`path` does."""
        return os.path.exists(self._place(digest))

    def _place(self, digest: str) -> str:
        """:meth:`path` as text."""
        if DIGEST.fullmatch(digest) is None:
            raise ValueError("not a SHA-256 in lower-case hexadecimal")
        return f"{self._objects}/{digest[:2]}/{digest}"

    def file(self, digest: str) -> Path:
        """The object, for those who only want to read what is in it. Raises ValueError."""
        return self.content(self.path(digest))

    def content_bytes(self, path: StrPath) -> int:
        """How much is in a file of ours, by its length on the disk. Raises OSError."""
        on_disk = os.stat(path).st_size
        return on_disk if self.seal is None else content_bytes(on_disk)

    def remove(self, digest: str) -> int:
        """Take the object off the disk; returns its length there. Of a sealed one the start is overwritten first.

        What then is left of it on a disk that writes elsewhere nobody can read, whoever has the key. The folder is not
        synced. Raises ValueError, OSError.
        """
        path = self.path(digest)
        size_bytes = path.stat().st_size
        if self.seal is not None:
            overwrite(path, min(size_bytes, ERASED_BY_BYTES))
        path.unlink()
        return size_bytes

    def verify(self, digest: str) -> bool:
        """Read the object back; False when it is missing, cannot be read or has bytes of another digest.

        Raises ValueError; OSError for what says nothing about the file, such as too many open ones.
        """
        try:
            with self.file(digest).open("rb") as file:
                return file_digest(file) == digest
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EBADMSG):
                raise
            return False

    def secure(self, digest: str) -> StoredObject | None:
        """Make sure of an object that was found but never accounted for; None when it is missing or damaged.

        Whoever kept it may have died before its name was durable. Raises ValueError, OSError.
        """
        path = self.path(digest)
        if not path.exists() or not self.verify(digest):
            return None
        sync_file(path)
        sync_folder(path.parent)
        return StoredObject(digest, self.content_bytes(path))

    def sweep_incoming(self, older_than: float | None = None) -> int:
        """Remove unfinished files last written before ``older_than`` (epoch seconds) and return how many.

        None removes all of them: only for a moment when no other process uses the spool, such as a start.
        """
        removed = 0
        for path in self.incoming.iterdir():
            try:
                if older_than is None or path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # kept or removed by its owner since the folder was listed
        return removed
