"""The first box's answer to its standby. What the standby has settled is durable here before it is answered."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any, Final

import anyio.to_thread
from pydantic import ValidationError
from sqlalchemy import Connection, Engine, Row, select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from appliance.schema import processes
from appliance.settings import Settings
from appliance.standby.marks import delivered_since, keep_marks, settled_since
from appliance.standby.sameness import destinations_of, sameness_of
from appliance.standby.state import ensure_standing, remember, standing_row
from appliance.standby.words import LARGEST_WORD_BYTES, NotTheFirst, Pulse, Word
from store_forward.boot import boot_id
from store_forward.database import reading, writing

#: A process of the first that has not reported for this long, s, is named as silent.
SILENT_PROCESS_S: Final = 30.0
#: How often it is written down that the standby was heard, s, when there is nothing else to write.
_NOTED_EVERY_S: Final = 10.0
_NEEDED: Final = ("receiver", "triage", "uplink")


class PulseEndpoint:
    """Answers the one route of this package; ``clock`` gives epoch seconds."""

    def __init__(self, settings: Settings, engine: Engine, token: str | None, clock: Callable[[], float]) -> None:
        """Without ``token`` this box expects no standby and says so."""
        self._settings = settings
        self._engine = engine
        self._token = token
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """One word of the standby, and the pulse."""
        if self._token is None:
            return _failed(404, "This box expects no standby.")
        shown = request.headers.get("Authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {self._token}".encode()):
            return _failed(401, "The token is not the one of this box.")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_WORD_BYTES:
                return _failed(413, "The word is too long.")
        try:
            word = Word.model_validate_json(bytes(body))
        except ValidationError:
            return _failed(400, "This is no word of a standby.")
        return await anyio.to_thread.run_sync(self._reply, word)

    def _reply(self, word: Word) -> Response:
        of = self._settings.standby.of
        with writing(self._engine) as connection:
            log = ensure_standing(connection).log
            if of is None and not word.looks_only:
                self._take(connection, word)
        if of is not None:
            return Response(NotTheFirst(log=log, of=of).model_dump_json(), 409, media_type="application/json")
        with reading(self._engine) as connection:
            pulse = self._pulse(connection, word)
        return Response(pulse.model_dump_json(), media_type="application/json")

    def _take(self, connection: Connection, word: Word) -> None:
        """Keep what the standby has settled, and that it was heard, in one transaction."""
        keep_marks(connection, word.delivered, self._clock())
        row = ensure_standing(connection)
        heard = {"heard_s": time.monotonic(), "heard_boot": boot_id(), "heard_at": self._clock()}
        if word.stands_in or row.other_stands_in or _noted_long_ago(row):
            remember(connection, other_stands_in=word.stands_in, **heard)
        if word.told and word.told == row.session:
            remember(connection, told_session=word.told)

    def _pulse(self, connection: Connection, word: Word) -> Pulse:
        row = standing_row(connection)
        assert row is not None
        known = word.log == row.log
        deliveries = delivered_since(connection, word.read_deliveries if known else 0, "the first box")
        names = destinations_of(self._settings)
        studies = settled_since(connection, word.read_studies if known else 0, names, "the first box")
        return Pulse(
            log=row.log,
            silent=_silent(connection, self._clock()),
            session=row.session,
            still=row.still,
            same=sameness_of(connection, self._settings),
            settled=deliveries.marks + studies.marks,
            read_deliveries=deliveries.read_to,
            read_studies=studies.read_to,
            more=deliveries.more or studies.more,
        )


def _silent(connection: Connection, now: float) -> tuple[str, ...]:
    """Needed processes that do not report. A beat ahead of the clock was made by a clock that was wrong."""
    beats = {row.name: row.beat_at for row in connection.execute(select(processes.c.name, processes.c.beat_at))}
    return tuple(name for name in _NEEDED if name not in beats or abs(now - beats[name]) > SILENT_PROCESS_S)


def _noted_long_ago(row: Row[Any]) -> bool:
    if row.heard_s is None or row.heard_boot != boot_id():
        return True
    return not 0 <= time.monotonic() - row.heard_s < _NOTED_EVERY_S


def _failed(status: int, sentence: str) -> Response:
    return JSONResponse({"status": "failed", "detail": sentence}, status)
