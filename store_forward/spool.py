"""The spool: content-addressed files that stay where they are until somebody has a receipt for them.

``objects/ab/<sha256>`` holds what is kept, ``incoming/`` what is still being written. An object's name is its
SHA-256, so the same bytes are kept once and damage can be told.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from store_forward.durable import FOLDER_MODE, make_folder, open_new, publish, sync_file, sync_folder
from store_forward.errors import SpoolFull
from store_forward.room import Marks, Room, room_at

_FOLDERS = 256
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredObject:
    """A durable file in the spool: lower-case hexadecimal SHA-256, length in bytes, and where it lies."""

    digest: str
    size_bytes: int
    path: Path


def file_digest(file: BufferedReader) -> str:
    """SHA-256 of the rest of an open file, in lower-case hexadecimal."""
    return hashlib.file_digest(file, "sha256").hexdigest()


class Spool:
    """A folder of durable, content-addressed files. Several processes may use one at the same time."""

    def __init__(self, root: Path, free_floor_bytes: int, bulk_bytes: int = 0, warn_bytes: int = 0) -> None:
        """Make the folders if they are missing. Raises OSError when they cannot be made.

        The three numbers are the marks of free disk, bytes, at which its :class:`Room` gets less.
        """
        self.root = root
        self.free_floor_bytes = free_floor_bytes
        self._bulk_bytes = bulk_bytes
        self._warn_bytes = warn_bytes
        self._room = Room.PLENTY
        self._incoming = root / "incoming"
        self._objects = root / "objects"
        make_folder(self._incoming)
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

    @property
    def marks(self) -> Marks:
        """The free disk at which each level begins."""
        return Marks(self._warn_bytes, self._bulk_bytes, self.free_floor_bytes)

    def room(self, before: Room | None = None) -> Room:
        """The level now; ``before`` is the one until now, where another process knew it."""
        return self._room_at(self.free_bytes(), before)

    def require_room(self, size_bytes: int = 0) -> None:
        """Raise SpoolFull when ``size_bytes`` more would leave less free disk than the floor.

        Once the floor was reached, also until there is room again by the margin that keeps it from flapping.
        """
        free = self.free_bytes()
        full = self._room_at(free) is Room.FULL
        if free - size_bytes < self.free_floor_bytes:
            raise SpoolFull(free, self.free_floor_bytes)
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
        path = self._incoming / f"{secrets.token_hex(16)}.part"
        open_new(path).close()
        return path

    def keep(self, temporary: Path) -> StoredObject:
        """File a finished file under the digest of its bytes; it is durable when this returns.

        An object that is already there is replaced by the same bytes: that costs one fsync, and makes sure
        of an object whose first writer has not yet reached its own. Raises OSError; nothing may be
        acknowledged then.
        """
        with temporary.open("rb") as file:
            digest = file_digest(file)
        return self.keep_as(temporary, digest)

    def keep_as(self, temporary: Path, digest: str) -> StoredObject:
        """``keep`` for a caller that has already computed the SHA-256 of the very bytes in the file."""
        final = self.path(digest)
        make_folder(final.parent)
        size_bytes = temporary.stat().st_size
        publish(temporary, final)
        return StoredObject(digest, size_bytes, final)

    def keep_bytes(self, data: bytes) -> StoredObject:
        """Keep ``data``; durable when this returns. Raises SpoolFull, OSError."""
        temporary = self.temporary(len(data))
        try:
            temporary.write_bytes(data)
            return self.keep_as(temporary, hashlib.sha256(data).hexdigest())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def path(self, digest: str) -> Path:
        """Where the object lies, or would lie. Raises ValueError for anything that is not a SHA-256."""
        if DIGEST.fullmatch(digest) is None:
            raise ValueError("not a SHA-256 in lower-case hexadecimal")
        return self._objects / digest[:2] / digest

    def verify(self, digest: str) -> bool:
        """Read the object back; False when it is missing, cannot be read or has bytes of another digest.

        Raises ValueError; OSError for what says nothing about the file, such as too many open ones.
        """
        try:
            with self.path(digest).open("rb") as file:
                return file_digest(file) == digest
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:
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
        return StoredObject(digest, path.stat().st_size, path)

    def sweep_incoming(self, older_than: float | None = None) -> int:
        """Remove unfinished files last written before ``older_than`` (epoch seconds) and return how many.

        None removes all of them: only for a moment when no other process uses the spool, such as a start.
        """
        removed = 0
        for path in self._incoming.iterdir():
            try:
                if older_than is None or path.stat().st_mtime < older_than:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # kept or removed by its owner since the folder was listed
        return removed
