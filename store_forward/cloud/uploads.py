"""Unfinished uploads on disk: what the box said about each, durable, and the bytes that have arrived so far.

Both survive a restart of the endpoint. How far an upload has got is simply how long its file is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store_forward.durable import FILE_MODE, make_folder, sync_file, sync_folder, write_durably
from store_forward.protocol import UploadMetadata, upload_id
from store_forward.spool import DIGEST

_DESCRIPTION: Final = ".json"
_BYTES: Final = ".bytes"


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    metadata: UploadMetadata
    size_bytes: int = Field(ge=0)


@dataclass(frozen=True)
class Upload:
    """An unfinished upload of ``size_bytes`` in all; ``path`` holds what has arrived."""

    id: str
    metadata: UploadMetadata
    size_bytes: int
    path: Path

    @property
    def offset(self) -> int:
        """How many bytes have arrived."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, data: bytes) -> None:
        """Add bytes at the end. They are durable only after ``sync``. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        with os.fdopen(os.open(self.path, flags, FILE_MODE), "wb") as file:
            file.write(data)

    def sync(self) -> None:
        """Make what has arrived durable. Raises OSError."""
        if self.size_bytes == 0:
            self.append(b"")
        sync_file(self.path)

    def cut_back(self, offset: int) -> None:
        """Forget everything after ``offset``."""
        if self.offset > offset:
            os.truncate(self.path, offset)


class Uploads:
    """The folder of unfinished uploads; one process uses it."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is missing, and clear away what a power cut left half written. Raises OSError."""
        self._folder = folder
        make_folder(folder)
        for left_over in folder.glob(".*.part"):
            left_over.unlink()

    def begin(self, metadata: UploadMetadata, size_bytes: int) -> Upload:
        """Start an upload, or find the one this box has begun. Raises ValueError when that one had another length."""
        name = upload_id(metadata)
        begun = self.find(name)
        if begun is None:
            description = _Description(metadata=metadata, size_bytes=size_bytes)
            write_durably(self._folder / f"{name}{_DESCRIPTION}", description.model_dump_json().encode())
            return Upload(name, metadata, size_bytes, self._folder / f"{name}{_BYTES}")
        if begun.size_bytes != size_bytes:
            raise ValueError("the same digest cannot have two lengths")
        return begun

    def find(self, name: str) -> Upload | None:
        """The unfinished upload of this name, if there is one that can be read."""
        if DIGEST.fullmatch(name) is None:
            return None
        try:
            text = (self._folder / f"{name}{_DESCRIPTION}").read_text(encoding="utf-8")
            known = _Description.model_validate_json(text)
        except (FileNotFoundError, ValidationError):  # rotten: announced anew, and the digest decides in the end
            return None
        return Upload(name, known.metadata, known.size_bytes, self._folder / f"{name}{_BYTES}")

    def discard(self, upload: Upload) -> None:
        """Remove an upload that is finished, wrong or stale."""
        upload.path.unlink(missing_ok=True)
        (self._folder / f"{upload.id}{_DESCRIPTION}").unlink(missing_ok=True)
        sync_folder(self._folder)

    def unfinished(self) -> list[Upload]:
        """All of them."""
        names = [path.stem for path in self._folder.glob(f"*{_DESCRIPTION}")]
        return [upload for upload in map(self.find, names) if upload is not None]

    def last_touched_at(self, upload: Upload) -> float:
        """When it last got any further, epoch seconds; 0 when it is gone."""
        for path in (upload.path, self._folder / f"{upload.id}{_DESCRIPTION}"):
            if path.exists():
                return path.stat().st_mtime
        return 0.0
