"""Unpacks what boxes send: a zip of DICOM instances, one at a time, within limits, never by the names it gives."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.errors import CannotTriage
from models.reasons import Reason

_PIECE_BYTES: Final = 1 << 20
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1


@dataclass(frozen=True)
class PayloadLimits:
    """What one payload may hold: entries, and bytes of all of them after unpacking."""

    max_instances: int
    max_unpacked_bytes: int


def instances(archive: Path, folder: Path, limits: PayloadLimits) -> Iterator[Path]:
    """Unpack entry after entry into one file in ``folder``; each lies there only until the next is asked for.

    The names in the archive are not used for anything. What counts is what comes out, not what the archive says it
    will be. Raises CannotTriage: ``not_dicom`` for what is no readable zip, ``too_large`` over a limit.
    """
    target = folder / "instance"
    left = limits.max_unpacked_bytes
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            if len(entries) > limits.max_instances:
                raise CannotTriage(Reason.too_large, f"the payload has more than {limits.max_instances} entries")
            for entry in entries:
                left -= _unpack(packed, entry, target, left)
                yield target
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise CannotTriage(Reason.not_dicom, "the payload is not a readable zip archive") from error
    finally:
        target.unlink(missing_ok=True)


def _unpack(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, most_bytes: int) -> int:
    if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
        raise CannotTriage(Reason.not_dicom, "the payload is packed in a way that is not taken")
    written = 0
    with packed.open(entry) as source, target.open("wb") as file:
        while piece := source.read(_PIECE_BYTES):
            written += len(piece)
            if written > most_bytes:
                raise CannotTriage(Reason.too_large, "the payload unpacks to more than the limit")
            file.write(piece)
    return written
