"""An upload's steps from its first byte to its receipt. Blocking: the endpoint calls these in worker threads.

The order at the end is what a receipt rests on: bytes fsynced and their SHA-256 checked → renamed into the spool →
folder fsynced → case committed → receipt given. Whatever step a power cut falls into, asking again goes on from it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from store_forward import protocol
from store_forward.cloud import cases, messages
from store_forward.cloud.errors import UploadRefused
from store_forward.cloud.settings import CloudSettings
from store_forward.cloud.uploads import Upload, Uploads
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.errors import SpoolFull
from store_forward.protocol import Answers, Outcomes, Receipt, UploadMetadata
from store_forward.room import FIRST_BULK_PRIORITY, Room
from store_forward.spool import Spool, file_digest

log = structlog.get_logger()
_RETRY_WHEN_FULL_S = 60


class Reception:
    """The endpoint's disk and database. One thread at a time may work on one upload; different ones go in parallel."""

    def __init__(self, settings: CloudSettings) -> None:
        """Open both, making what is missing. Raises DatabaseUnusable, OSError."""
        self._settings = settings
        self.engine = open_database(settings.database)
        create_schema(self.engine, cases.CLOUD_METADATA)
        marks = (settings.free_floor_bytes, settings.free_bulk_bytes, settings.free_warn_bytes)
        self._spool = Spool(settings.spool, *marks)
        self._told = Room.PLENTY
        self._uploads = Uploads(settings.uploads)

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()

    def create(self, metadata: UploadMetadata, size_bytes: int, now: float) -> Upload | Receipt:
        """Begin an upload, or find it begun; the receipt if the payload is held already. Raises UploadRefused."""
        if metadata.content_type not in self._settings.content_types:
            raise UploadRefused(protocol.UNSUPPORTED_TYPE, "payloads of this content type are not taken")
        if size_bytes > self._settings.max_upload_bytes:
            raise UploadRefused(protocol.TOO_LARGE, f"a payload has at most {self._settings.max_upload_bytes} bytes")
        receipt = self._held(metadata, size_bytes, now)
        if receipt is not None:
            return receipt
        if self._uploads.find(protocol.upload_id(metadata)) is None:
            self._require_place_for_another(metadata.priority)
        try:
            upload = self._uploads.begin(metadata, size_bytes)
        except ValueError as error:
            raise UploadRefused(400, str(error)) from error
        self.require_room(size_bytes - upload.offset)
        with writing(self.engine) as connection:
            cases.begin(connection, metadata, size_bytes)
        return upload

    def look(self, name: str, now: float) -> Upload | Receipt:
        """The upload called ``name``, or its receipt when it is finished. Raises UploadRefused: not known."""
        with reading(self.engine) as connection:
            receipt = cases.receipt_of(connection, name)
        if receipt is not None:
            return receipt
        upload = self._uploads.find(name)
        if upload is None:
            raise UploadRefused(404, "there is no such upload; begin it again")
        return self._held(upload.metadata, upload.size_bytes, now) or upload

    def require_room(self, size_bytes: int) -> None:
        """Raise UploadRefused when so much more would take free disk below the floor."""
        try:
            self._spool.require_room(size_bytes)
        except SpoolFull as full:
            raise _no_room() from full

    def append(self, upload: Upload, data: bytes) -> None:
        """Add bytes that have arrived. Raises UploadRefused when the disk is full, OSError."""
        with _full_disk_told():
            upload.append(data)

    def settle(self, upload: Upload, now: float) -> Receipt | None:
        """Make what has arrived durable; when it is all, check it, keep it and return the receipt.

        Raises UploadRefused when the bytes are not the announced ones, OSError when the disk fails; either way the
        upload is gone and begins again from nothing.
        """
        with _full_disk_told():
            try:
                upload.sync()
            except OSError:
                self._discard(upload)  # pages whose fsync failed may be lost: nothing built on them can be trusted
                raise
        if upload.offset < upload.size_bytes:
            return None
        with upload.path.open("rb") as file:
            digest = file_digest(file)
        if digest != upload.metadata.sha256:
            self._discard(upload)
            raise UploadRefused(protocol.WRONG_DIGEST, "the bytes are not the announced ones; begin again")
        self._spool.keep_as(upload.path, digest)
        return self._commit(upload.metadata, upload.size_bytes, now)

    def stale(self, now: float) -> list[str]:
        """The names of uploads that have been idle longer than ``upload_age_s``."""
        limit = now - self._settings.upload_age_s
        return [each.id for each in self._uploads.unfinished() if self._uploads.last_touched_at(each) < limit]

    def remove(self, name: str) -> None:
        """Remove an unfinished upload, if it is still there."""
        upload = self._uploads.find(name)
        if upload is not None:
            self._discard(upload)

    def forget_lost(self) -> None:
        """Drop ``receiving`` cases without an upload: a power cut fell between the two."""
        with reading(self.engine) as connection:
            receiving = cases.in_state(connection, cases.CaseState.RECEIVING)
        lost = set(receiving) - {upload.metadata.sha256 for upload in self._uploads.unfinished()}
        if lost:
            with writing(self.engine) as connection:
                for digest in lost:
                    cases.give_up(connection, digest)

    def answers(self, box: str, after: int) -> Answers:
        """The box's next answers and messages, at most ``max_answers``."""
        with reading(self.engine) as connection:
            return messages.feed_after(connection, box, after, self._settings.max_answers)

    def meet(self, box: str, now: float) -> None:
        """Note that this box asks for answers; a write only the first time."""
        with reading(self.engine) as connection:
            known = messages.knows(connection, box)
        if not known:
            with writing(self.engine) as connection:
                messages.meet(connection, box, now)

    def note(self, told: Outcomes) -> None:
        """Keep what a box says became of its messages."""
        with writing(self.engine) as connection:
            messages.note(connection, told)

    def counts(self) -> dict[str, int]:
        """How many cases stand in each state."""
        with reading(self.engine) as connection:
            return cases.count_by_state(connection)

    def _held(self, metadata: UploadMetadata, size_bytes: int, now: float) -> Receipt | None:
        """The receipt if the payload is in the spool, noting that this box sent it too.

        It may be there without a case: then a power cut fell between the rename and the commit, and the commit is
        made now.
        """
        with reading(self.engine) as connection:
            known_bytes = cases.size_of(connection, metadata.sha256)
        if known_bytes is None:
            stored = self._spool.secure(metadata.sha256)
            if stored is None:
                return None
            known_bytes = stored.size_bytes
        if known_bytes != size_bytes:
            raise UploadRefused(400, "the same digest cannot have two lengths")
        return self._commit(metadata, size_bytes, now)

    def _commit(self, metadata: UploadMetadata, size_bytes: int, now: float) -> Receipt:
        with writing(self.engine) as connection:
            receipt = cases.store(connection, metadata, size_bytes, now)
        upload = self._uploads.find(protocol.upload_id(metadata))
        if upload is not None:
            self._uploads.discard(upload)
        return receipt

    def _discard(self, upload: Upload) -> None:
        self._uploads.discard(upload)
        with writing(self.engine) as connection:
            cases.give_up(connection, upload.metadata.sha256)

    def room(self) -> Room:
        """The level of the endpoint's disk; each change is logged."""
        room = self._spool.room()
        if room is not self._told:
            say = log.info if room is Room.PLENTY else log.warning
            say("disk.room", room=room.word, free_bytes=self._spool.free_bytes())
            self._told = room
        return room

    def _require_place_for_another(self, priority: int) -> None:
        if self.room() >= Room.NO_BULK and priority >= FIRST_BULK_PRIORITY:
            raise _no_room()
        if len(self._uploads.unfinished()) >= self._settings.max_uploads:
            raise UploadRefused(503, "too many unfinished uploads", retry_after_s=_RETRY_WHEN_FULL_S)


def _no_room() -> UploadRefused:
    return UploadRefused(protocol.INSUFFICIENT_STORAGE, "no room on the disk", retry_after_s=_RETRY_WHEN_FULL_S)


@contextmanager
def _full_disk_told() -> Iterator[None]:
    """A full disk is the box's to know, and no fault of the upload: what had arrived before stays."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_room() from error
        raise
