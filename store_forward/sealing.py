"""Files whose bytes on the disk are sealed: authenticated encryption in segments, each file with a key of its own.

The format is Tink's AES-GCM-HKDF streaming AEAD. A file begins with 32 random bytes, from which and the sealing key its
own key is derived; segments of 64 KiB follow, each with its tag, and the last one says that it is the last. What was
changed, cut short or put together from two files cannot be read. Without its first bytes nobody can read a file,
whoever has the key: to overwrite those is to erase it.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PosixPath
from typing import Any, BinaryIO, Final, Literal, cast

import tink
from tink import TinkError, json_proto_keyset_format, secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

SEGMENT_BYTES: Final = 1 << 16
ERASED_BY_BYTES: Final = 4096
"""To overwrite so much of a file's start, one block of a disk, is more than enough."""
_HEADER_BYTES: Final = 40
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_PURPOSE: Final = b"scanside file"
_TYPE: Final = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
_BUFFER_BYTES: Final = 1 << 16
_DAMAGED: Final = "the sealed file is damaged, or sealed with another key"


class Seal:
    """What seals and opens the files of one home. Every thread may use it; pickled, it takes its key along."""

    def __init__(self, keyset: str) -> None:
        """``keyset`` as :func:`new_keyset` gives it. Raises ValueError when it is none."""
        self._keyset = keyset
        self._primitive: Any = _primitive(keyset)

    def writer(self, file: BinaryIO, *, close: bool = False) -> BinaryIO:
        """What is written goes sealed into ``file``, which is complete, and with ``close`` closed, when the writer is.

        Raises what ``file`` raises.
        """
        return cast(BinaryIO, _Writer(self._primitive, file, close))

    def open(self, path: Path) -> BinaryIO:
        """The content of a sealed file, to be read from any place.

        Raises OSError: that of the disk, or EBADMSG when the bytes are not those that were sealed.
        """
        return io.BufferedReader(_Reader(self._primitive, path.open("rb")), _BUFFER_BYTES)

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


def new_keyset() -> str:
    """A new key to seal with, as text that must itself be kept secret."""
    streaming_aead.register()
    form = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKeyFormat(key_size=_KEY_BYTES)
    form.params.hkdf_hash_type = common_pb2.SHA256
    form.params.derived_key_size = _KEY_BYTES
    form.params.ciphertext_segment_size = SEGMENT_BYTES
    template = tink_pb2.KeyTemplate(
        type_url=_TYPE, value=form.SerializeToString(), output_prefix_type=tink_pb2.OutputPrefixType.RAW
    )
    return str(json_proto_keyset_format.serialize(tink.new_keyset_handle(template), secret_key_access.TOKEN))


def sealed_bytes(content: int) -> int:
    """How long the sealed file of so much content is."""
    in_segments = content + _HEADER_BYTES
    per_segment = SEGMENT_BYTES - _TAG_BYTES
    return in_segments + _TAG_BYTES * max(-(-in_segments // per_segment), 1)


def content_bytes(sealed: int) -> int:
    """How much is in a sealed file of this length; 0 for one that is too short to be one."""
    return max(sealed - _HEADER_BYTES - _TAG_BYTES * -(-sealed // SEGMENT_BYTES), 0)


@lru_cache(maxsize=8)
def _primitive(keyset: str) -> Any:
    streaming_aead.register()
    try:
        handle = json_proto_keyset_format.parse(keyset, secret_key_access.TOKEN)
        return handle.primitive(streaming_aead.StreamingAead)
    except TinkError as error:
        raise ValueError("not a keyset to seal files with") from error


class _Errors(io.RawIOBase):
    """The file for Tink, which says nothing of an error of the disk, or something else: kept, and raised by us."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def raised(self) -> None:
        if self._error is not None:
            raise self._error

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._error is None:
            try:
                left = memoryview(data)
                while left:
                    left = left[self._file.write(left) :]
            except OSError as error:
                self._error = error
        return len(data)

    def read(self, size: int = -1) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self._error = error
            return b""


class _Writer(io.RawIOBase):
    def __init__(self, primitive: Any, file: BinaryIO, close: bool) -> None:
        self._file = file
        self._close = close
        self._below = _Errors(file)
        self._stream = primitive.new_encrypting_stream(self._below, _PURPOSE)

    def write(self, data: Any) -> int:
        written = int(self._stream.write(data))
        self._below.raised()
        return written

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            super().close()
            try:
                self._stream.close()
                self._below.raised()
            finally:
                if self._close:
                    self._file.close()


class _Reader(io.RawIOBase):
    """Reads on from where it is. To go back it begins anew; where nothing is read, going anywhere costs nothing."""

    def __init__(self, primitive: Any, file: BinaryIO) -> None:
        self._primitive = primitive
        self._file = file
        self._end = content_bytes(os.fstat(file.fileno()).st_size)
        self._wanted = 0
        self.name = file.name
        self._begin()

    def _begin(self) -> None:
        self._at = self._file.seek(0)
        self._below = _Errors(self._file)
        self._stream = self._primitive.new_decrypting_stream(self._below, _PURPOSE)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._wanted

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._wanted, os.SEEK_END: self._end}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._wanted = start + offset
        return self._wanted

    def readinto(self, buffer: Any) -> int:
        if self._wanted < self._at:
            self._begin()
        while self._at < self._wanted:
            passed = self._read(min(self._wanted - self._at, _BUFFER_BYTES))
            if not passed:
                return 0
            self._at += len(passed)
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        self._wanted = self._at
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            data: bytes = self._stream.read(size)
        except TinkError as error:
            self._below.raised()
            raise OSError(errno.EBADMSG, _DAMAGED) from error
        self._below.raised()
        return data

    def close(self) -> None:
        self._file.close()
        super().close()
