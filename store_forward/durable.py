"""The one place that makes files durable: bytes to disk, then the name, then the folder that holds the name.

A rename without the fsync before it can leave an empty file after a power cut; without the fsync of the
folder after it, no file at all. An fsync that fails is never tried again on the same file: the kernel may
have dropped the dirty pages and would then report success for bytes that are gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
from pathlib import Path
from typing import BinaryIO

FOLDER_MODE = 0o700
FILE_MODE = 0o600
StrPath = str | os.PathLike[str]
_SYNC_FILE_RANGE_WRITE = 2
_LIBC = ctypes.CDLL(None)
_LIBC.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def begin_to_write(file: BinaryIO) -> None:
    """Have the disk begin with what was written so far, and wait for nothing: :func:`sync_file` then has less to do.

    By itself it makes nothing durable, and it may do nothing (sync_file_range(2)).
    """
    _LIBC.sync_file_range(file.fileno(), 0, 0, _SYNC_FILE_RANGE_WRITE)


def sync_file(path: StrPath, *, cached: bool = True) -> None:
    """Force the file's bytes to disk. Raises OSError when the disk does not take them.

    Not ``cached``, they leave the page cache as soon as they are there.
    """
    _fsync(path, os.O_RDONLY, cached)


def sync_folder(folder: StrPath) -> None:
    """Force the folder's list of names to disk. Raises OSError when the disk does not take it."""
    _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its missing parents, readable by us only, and force each new name to disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(new.parent)


def publish(temporary: StrPath, final: StrPath, *, cached: bool = True) -> None:
    """Rename a finished file into place so that it is there, whole, after any power cut.

    Both must lie on one filesystem. When this returns, the bytes and the name are durable; when it raises
    OSError, ``final`` is what it was before or the whole new file, never a part, and must not be
    acknowledged. ``cached`` is as for :func:`sync_file`.
    """
    sync_file(temporary, cached=cached)
    os.replace(temporary, final)
    sync_folder(os.path.dirname(final))


def write_durably(final: Path, data: bytes) -> None:
    """Put ``data`` at ``final``, durable on return; an existing file is replaced whole. Raises OSError."""
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(8)}.part")
    try:
        with open_new(temporary) as file:
            file.write(data)
        publish(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_first(final: Path, data: bytes) -> None:
    """Put ``data`` at ``final`` unless a file is there; of several who do it at once, one does. Durable on return.

    Raises OSError.
    """
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(8)}.part")
    try:
        with open_new(temporary) as file:
            file.write(data)
        sync_file(temporary)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, final)
        sync_folder(final.parent)
    finally:
        temporary.unlink(missing_ok=True)


def overwrite(path: Path, size_bytes: int) -> None:
    """Put random bytes over the start of a file, and force them to disk. Raises OSError."""
    with path.open("r+b", buffering=0) as file:
        file.write(secrets.token_bytes(size_bytes))
        os.fsync(file.fileno())


def open_new(path: Path) -> BinaryIO:
    """Open a file that must not exist yet, for writing, readable by us only.

    Raises FileExistsError, OSError.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE), "wb")


def _fsync(path: StrPath, flags: int, cached: bool = True) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        if not cached:
            with contextlib.suppress(OSError):  # a file system that knows nothing of it
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
