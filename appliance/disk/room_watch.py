"""The level of free disk as the receiver sees it: written down for the other processes, and kept over a restart."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from appliance.disk.tables import disk_room
from store_forward.database import reading, writing
from store_forward.room import Room, room_of
from store_forward.spool import Spool

log = structlog.get_logger()
_SPOOL = "spool"


class RoomWatch:
    """Looks again and again; each change is one row and one line of the log."""

    def __init__(self, engine: Engine, spool: Spool) -> None:
        self._engine = engine
        self._spool = spool
        with reading(engine) as connection:
            self._written = room_before(connection)
        spool.room(self._written)

    def look(self, now: float) -> Room:
        """The level now. A disk too full to write it down is looked at again the next time."""
        room = self._spool.room()
        if room is not self._written:
            free = self._spool.free_bytes()
            say = log.info if room is Room.PLENTY else log.warning
            say("disk.room", room=room.word, before=self._written.word, free_bytes=free)
            try:
                with writing(self._engine) as connection:
                    _write(connection, room, free, now)
            except OperationalError as error:
                log.error("disk.room_not_written", kind=type(error.orig).__name__)
            else:
                self._written = room
        return room


def room_before(connection: Connection) -> Room:
    """The level that was written down last; plenty before there was any."""
    word = connection.execute(select(disk_room.c.room).where(disk_room.c.name == _SPOOL)).scalar_one_or_none()
    return room_of(word) if word is not None else Room.PLENTY


def _write(connection: Connection, room: Room, free_bytes: int, now: float) -> None:
    row = insert(disk_room).values(name=_SPOOL, room=room.word, since=now, free_bytes=free_bytes)
    changed = {name: row.excluded[name] for name in ("room", "since", "free_bytes")}
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))
