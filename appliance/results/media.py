"""A DICOMDIR for files that lie elsewhere (PS3.10 8): which name each gets, and the directory that names them.

Runs where ``appliance.dicomweb.opening`` runs; headers are opened, pixels are not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydicom.fileset import FileSet
from pydicom.uid import UID

from appliance.dicomweb.opening import Unreadable, open_file
from models.tolerant_reading import DAMAGED, quietly


def directory_of(paths: Sequence[Path], most_bytes: int) -> tuple[bytes, list[str]]:
    """The DICOMDIR, and for each path its File ID with slashes; empty for what cannot stand in a DICOMDIR.

    Raises OSError: the disk failed.
    """
    made, names = FileSet(), list[UID]()
    with quietly():
        for path in paths:
            dataset = open_file(path, most_bytes, with_pixels=False)
            names.append(UID(""))
            if isinstance(dataset, Unreadable):
                continue
            try:
                names[-1] = made.add(dataset).SOPInstanceUID
            except (*DAMAGED, NotImplementedError):
                continue
        with tempfile.TemporaryDirectory() as folder:
            made.write(Path(folder))
            placed = {one.SOPInstanceUID: one.FileID.replace("\\", "/") for one in made}
            return (Path(folder) / "DICOMDIR").read_bytes(), [placed.get(name, "") for name in names]
