"""Media with a DICOMDIR, written by pydicom, and what may be wrong with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from models.tolerant_reading import quietly

Images = dict[str, Path]


def write_medium(folder: Path, *contents: Dataset) -> Images:
    """A DICOMDIR with these images; returns where each lies, by SOP Instance UID."""
    files = FileSet()
    for content in contents:
        files.add(content)
    files.write(folder)
    written = {str(one.SOPInstanceUID): Path(one.path) for one in files}
    files._stage["t"].cleanup()  # else the collector does it, with a warning
    return written


def edit_directory(folder: Path, change: Callable[[Dataset], None]) -> None:
    """Apply ``change`` to each record that names a file."""
    path = folder / "DICOMDIR"
    with quietly():  # the library would complain of what is wrong on purpose
        directory = dcmread(path)
        for record in directory.DirectoryRecordSequence:
            if "ReferencedFileID" in record:
                change(record)
        directory.save_as(path)
