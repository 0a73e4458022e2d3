"""A pack as one file: a plain zip that holds exactly the files of the pack's folder, under their own names.

Nothing in an archive is believed: how many entries there are is read before they are, names must be plain, and what
counts is how many bytes come out. Whether the files are the right ones is for :func:`models.pack.load_pack` to say.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from models.errors import PackRejected
from models.pack import ModelPack

SUFFIX: Final = ".scanpack"
MOST_FILES: Final = 64

_COPY_AGAIN = "Copy the archive again from where it came"
_EXPORT_AGAIN = "Make the archive again with scanside models export"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_PIECE_BYTES = 1 << 20
#: No file in an archive has a time, so that the same pack always gives the same bytes.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
#: The last record of a zip without a comment, APPNOTE.TXT 4.3.16: signature, disks, entries, size of the directory.
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE, _ZIP64_SIGNATURE, _ZIP64_LOCATOR_BYTES = b"PK\5\6", b"PK\6\7", 20
_MOST_DIRECTORY_BYTES = MOST_FILES * 1024


def archive_name(pack: ModelPack) -> str:
    """What the archive of a pack is called: ``NAME-VERSION.scanpack``."""
    return f"{pack.manifest.name}-{pack.manifest.version}{SUFFIX}"


def write_archive(pack: ModelPack, stream: BinaryIO) -> None:
    """Write the files of a verified pack; the same pack gives the same bytes every time. Raises OSError."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(pack.folder.iterdir()):
            entry = zipfile.ZipInfo(path.name, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            packed.writestr(entry, path.read_bytes())


def unpack_archive(archive: Path, folder: Path, most_bytes: int) -> list[Path]:
    """Unpack an archive into the empty ``folder`` and return its files, whose content nobody has checked yet.

    Raises:
        PackRejected: it cannot be read, is no whole zip, holds anything but plain files under plain names, more than
            ``MOST_FILES`` of them, or more than ``most_bytes`` in all.
        OSError: the disk does not take the files.
    """
    try:
        stream = archive.open("rb")
    except OSError as error:
        raise _wrong(archive, f"cannot be read ({error.strerror})", "Name an archive that is there") from None
    with stream:
        _check_directory_size(archive, stream)
        try:
            with zipfile.ZipFile(stream) as packed:
                return list(_unpack_all(archive, packed, folder, most_bytes))
        except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, NotImplementedError, struct.error):
            raise _wrong(archive, "is damaged", _COPY_AGAIN) from None


def _wrong(archive: Path, why: str, repair: str) -> PackRejected:
    return PackRejected(archive.name, f"the archive {why}", repair)


def _check_directory_size(archive: Path, stream: BinaryIO) -> None:
    """Refuse before the list of entries, which may be as large as the file, is read into memory."""
    size_bytes = stream.seek(0, 2)
    stream.seek(max(size_bytes - _END.size - _ZIP64_LOCATOR_BYTES, 0))
    tail = stream.read()
    end = tail[-_END.size :]
    if len(end) < _END.size or not end.startswith(_END_SIGNATURE):
        raise _wrong(archive, "is cut off or is no zip", _COPY_AGAIN)
    entries, directory_bytes = _END.unpack(end)[4:6]
    wide = tail[: -_END.size].startswith(_ZIP64_SIGNATURE)
    if wide or entries > MOST_FILES or directory_bytes > _MOST_DIRECTORY_BYTES:
        raise _wrong(archive, f"has more than {MOST_FILES} entries", _EXPORT_AGAIN)


def _unpack_all(archive: Path, packed: zipfile.ZipFile, folder: Path, most_bytes: int) -> Iterator[Path]:
    left = most_bytes
    seen: set[str] = set()
    if len(packed.infolist()) > MOST_FILES:
        raise _wrong(archive, f"has more than {MOST_FILES} entries", _EXPORT_AGAIN)
    for entry in packed.infolist():
        _check_entry(archive, entry, seen)
        seen.add(entry.filename)
        path = folder / entry.filename
        left -= _unpack(packed, entry, path, left)
        if left < 0:
            raise _wrong(
                archive, f"unpacks to more than {most_bytes} bytes", "Raise limits.max_pack_bytes or free some disk"
            )
        yield path


def _check_entry(archive: Path, entry: zipfile.ZipInfo, seen: set[str]) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if _PLAIN_NAME.fullmatch(entry.filename) is None or entry.orig_filename != entry.filename:
        raise _wrong(archive, f"holds {ascii(entry.filename)[:60]}, which is no plain file name", _EXPORT_AGAIN)
    if kind not in (0, stat.S_IFREG):
        raise _wrong(archive, f"holds {entry.filename}, which is a link or no file", _EXPORT_AGAIN)
    if entry.filename in seen:
        raise _wrong(archive, f"holds {entry.filename} twice", _EXPORT_AGAIN)
    if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
        raise _wrong(archive, f"holds {entry.filename} packed in a way that is not taken", _EXPORT_AGAIN)


def _unpack(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most_bytes: int) -> int:
    """Write one entry; what comes out beyond ``most_bytes`` is counted, but not written."""
    written = 0
    with packed.open(entry) as source, target.open("xb") as file:
        while written <= most_bytes and (piece := source.read(_PIECE_BYTES)):
            written += len(piece)
            if written <= most_bytes:
                file.write(piece)
    return written
