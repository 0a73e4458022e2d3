"""What a DICOMDIR says lies on a medium (PS3.10 8, PS3.3 F), and where it really lies.

The directory is as untrusted as any file: a File ID leads to a file below the directory's own folder or to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from models.errors import CannotTriage
from models.pixels import open_dicom
from models.tolerant_reading import DAMAGED, UNREADABLE, quietly

NAME = "DICOMDIR"
#: Of a directory, also after inflating; about 60,000 images, of which the reading takes some 400 MB of memory.
MOST_BYTES = 16 * 1024 * 1024
_INACTIVE = 0x0000
_LONGEST_SHOWN = 128


class DirectoryUnusable(Exception):
    """There is no DICOMDIR, or it cannot be read; the words say what to do."""


@dataclass(frozen=True)
class Reference:
    """One file that the directory names. ``sop_class_uid`` and ``sop_instance_uid`` may be empty.

    ``path`` is None when there is no such file below the medium's folder; ``allowed`` is false when the File ID is one
    that no file can have (PS3.10 8.2), or leads elsewhere.
    """

    file_id: str
    sop_class_uid: str
    sop_instance_uid: str
    path: Path | None
    allowed: bool = True


def directory_in(medium: Path) -> Path:
    """The DICOMDIR of a medium: ``medium`` itself when it is a file, else the one at the top of the folder.

    Raises:
        DirectoryUnusable: there is none.
    """
    if medium.is_file():
        return medium
    found = _Folders().find(medium, NAME) if medium.is_dir() else None
    if found is None or not found.is_file():
        raise DirectoryUnusable(f"no {NAME} in {medium}; name the folder that holds it, or put single files into the "
                                "watched folder")  # fmt: skip
    return found


def read_directory(path: Path) -> list[Reference]:
    """Every file that is in use by the directory, in its order.

    Raises:
        DirectoryUnusable: it is not a DICOMDIR, torn, or larger than ``MOST_BYTES``.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DirectoryUnusable(f"{path} has more than {MOST_BYTES} bytes; put its files into the watched folder")
        with quietly():
            directory = open_dicom(path, with_pixels=False, max_inflated_bytes=MOST_BYTES)
            records = directory.get("DirectoryRecordSequence")
            named = [record for record in records or () if _names_a_file(record)]
            if records is None:
                raise DirectoryUnusable(f"{path} is DICOM, but no {NAME}: it has no Directory Record Sequence")
            folders = _Folders()
            return [_reference(record, path.parent, folders) for record in named]
    except CannotTriage as refused:
        raise DirectoryUnusable(f"{path} cannot be read ({refused.detail}); copy the medium anew") from None
    except DAMAGED as error:
        raise DirectoryUnusable(f"{path} cannot be read ({type(error).__name__}); copy the medium anew") from None


def _names_a_file(record: Dataset) -> bool:
    """PS3.3 F.3.2.2: a record with In-use Flag 0000H is to be ignored."""
    return bool(_value(record, "ReferencedFileID")) and _value(record, "RecordInUseFlag") != _INACTIVE


def _reference(record: Dataset, root: Path, folders: _Folders) -> Reference:
    value = _value(record, "ReferencedFileID")
    parts = [str(part) for part in value] if isinstance(value, MultiValue | list) else str(value).split("\\")
    allowed = all(_is_name(part) for part in parts)
    path = root
    for part in parts if allowed else ():
        found = folders.find(path, part)
        if found is None:
            break
        path = found
    else:
        if allowed and path.is_file():
            allowed = path.resolve().is_relative_to(root.resolve())
            return Reference(_shown(parts), *_uids(record), path if allowed else None, allowed)
    return Reference(_shown(parts), *_uids(record), None, allowed)


def _uids(record: Dataset) -> tuple[str, str]:
    sop_class = _value(record, "ReferencedSOPClassUIDInFile")
    return str(sop_class or ""), str(_value(record, "ReferencedSOPInstanceUIDInFile") or "")


def _value(record: Dataset, keyword: str) -> Any:
    try:
        return record.get(keyword)
    except UNREADABLE:
        return None


def _is_name(part: str) -> bool:
    """Wider than PS3.10 8.2, as media in the wild are, and never a way out of the folder."""
    return part.strip(". ") != "" and part.isprintable() and not set(part) & set('/\\:*?"<>|')


def _shown(parts: list[str]) -> str:
    """The File ID fit to be shown."""
    return "".join(c if c.isprintable() else "?" for c in "/".join(parts))[:_LONGEST_SHOWN]


class _Folders:
    """Looks names up as media are written: in any case, with or without ISO 9660's version and trailing dot."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, Path]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        if folder not in self._names:
            self._names[folder] = {_plain(one.name): one for one in sorted(folder.iterdir())} if folder.is_dir() else {}
        return self._names[folder].get(_plain(name))


def _plain(name: str) -> str:
    return name.strip().partition(";")[0].rstrip(".").casefold()
