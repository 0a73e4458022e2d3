"""Files whose bytes on the disk are sealed: authenticated encryption in segments, each file with a key of its own.

How, is told in :mod:`store_forward.streaming_aead`. What was changed, cut short or put together from two files cannot
be read. Without its first bytes nobody can read a file, whoever has the key: to overwrite those is to erase it.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PosixPath
from typing import BinaryIO, Final, Literal, cast

from store_forward.streaming_aead import SealedReader, SealingWriter, content_bytes, key_of

ERASED_BY_BYTES: Final = 4096
"""To overwrite so much of a file's start, one block of a disk, is more than enough."""
_BUFFER_BYTES: Final = 1 << 16


class Seal:
    """What seals and opens the files of one home. Every thread may use it; pickled, it takes its key along."""

    def __init__(self, keyset: str) -> None:
        """``keyset`` as ``new_keyset`` gives it. Raises ValueError when it is none."""
        self._keyset = keyset
        self._key = key_of(keyset)

    def writer(self, file: BinaryIO, *, close: bool = False) -> BinaryIO:
        """What is written goes sealed into ``file``, which is complete, and with ``close`` closed, when the writer is.

        Raises what ``file`` raises.
        """
        return cast(BinaryIO, SealingWriter(self._key, file, close))

    def open(self, path: Path) -> BinaryIO:
        """The content of a sealed file, to be read from any place.

        Raises OSError: that of the disk, or EBADMSG when the bytes are not those that were sealed.
        """
        return io.BufferedReader(SealedReader(self._key, path.open("rb", buffering=0)), _BUFFER_BYTES)

    def file(self, path: Path) -> SealedFile:
        """``path``, for those who only want to read what is in it."""
        return SealedFile(path, self)

    def folder(self, path: Path) -> SealedFolder:
        """``path``, for those who read or write what is in the files below it."""
        return SealedFolder(path, self)

    def sealed(self, data: bytes) -> bytes:
        """What lies on the disk of a file with this content."""
        sealed = io.BytesIO()
        with self.writer(sealed) as file:
            file.write(data)
        return sealed.getvalue()

    def __reduce__(self) -> tuple[type[Seal], tuple[str]]:
        return Seal, (self._keyset,)


class SealedFile(PosixPath):
    """A path whose ``open``, ``read_bytes`` and length are those of the content.

    Given to anything that opens paths by itself it raises TypeError, because that would read what is on the disk;
    :func:`plain_path` is for those.
    """

    seal: Seal

    def __new__(cls, path: Path, seal: Seal) -> SealedFile:
        """``path`` is where the sealed bytes lie."""
        new = super().__new__(cls, str(path))
        new.seal = seal
        return new

    def __init__(self, path: Path, seal: Seal) -> None:  # noqa: ARG002
        """See :meth:`__new__`; which of the two makes a path differs between versions of Python."""
        if sys.version_info >= (3, 12):
            super().__init__(str(path))
        else:
            super().__init__()

    def __fspath__(self) -> str:
        raise TypeError("what is in a sealed file is read by its open()")

    def __reduce__(self) -> tuple[type[SealedFile], tuple[Path, Seal]]:
        return type(self), (self.lies, self.seal)

    @property
    def lies(self) -> Path:
        """Where the sealed bytes lie."""
        return Path(str(self))

    def with_segments(self, *segments: str | os.PathLike[str]) -> Path:
        """What is made from it, such as its folder, is a path like any other."""
        return Path(*map(str, segments))

    def open(self, mode: Literal["rb", "wb", "xb"] = "rb", *_others: object) -> BinaryIO:  # type: ignore[override]
        """The content, to be read or all of it written. Raises OSError, ValueError for any other mode."""
        if mode == "rb":
            return self.seal.open(self.lies)
        if mode not in ("wb", "xb"):
            raise ValueError(f"a sealed file is not opened as {mode!r}")
        return self.seal.writer(self.lies.open(mode), close=True)

    def read_bytes(self) -> bytes:
        """All of the content. Raises OSError."""
        with self.open() as file:
            return file.read()

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.lies.exists()

    def is_file(self) -> bool:
        """Whether there is such a file, and it is no folder."""
        return self.lies.is_file()

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file. Raises OSError."""
        self.lies.unlink(missing_ok)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """What the system says of it, with the length of the content. Raises OSError."""
        found = self.lies.stat(follow_symlinks=follow_symlinks)
        fields = list(found[:10])
        fields[6] = content_bytes(found.st_size)
        times = {name: getattr(found, name) for name in ("st_atime", "st_mtime", "st_ctime")}
        return os.stat_result(fields, times | {f"{name}_ns": getattr(found, f"{name}_ns") for name in times})


class SealedFolder(SealedFile):
    """A folder whose files are all sealed: each path below it is that of a sealed file, or of such a folder."""

    def __truediv__(self, name: str | os.PathLike[str]) -> SealedFolder:
        return self.seal.folder(self.lies / name)

    def is_dir(self) -> bool:
        """Whether there is such a folder."""
        return self.lies.is_dir()

    def iterdir(self) -> Iterator[SealedFolder]:  # type: ignore[override]
        """What is in it. Raises OSError."""
        return map(self.seal.folder, self.lies.iterdir())

    def glob(self, pattern: str) -> Iterator[SealedFolder]:  # type: ignore[override]
        """What is below it and fits the pattern. Raises OSError."""
        return map(self.seal.folder, self.lies.glob(pattern))


def lying(path: Path) -> Path:
    """Where the bytes of a file or folder lie, sealed or not."""
    return path.lies if isinstance(path, SealedFile) else path


@contextmanager
def plain_path(path: Path) -> Iterator[Path]:
    """A path with the content of ``path``, for a library that opens paths by itself; of a sealed file in memory.

    Raises OSError.
    """
    if not isinstance(path, SealedFile):
        yield path
        return
    with os.fdopen(os.memfd_create(path.name), "w+b") as memory, path.open("rb") as file:
        shutil.copyfileobj(file, memory, _BUFFER_BYTES)
        memory.flush()
        yield Path(f"/proc/self/fd/{memory.fileno()}")
