"""The sync endpoint over HTTP: see ``store_forward.protocol`` for what is said, ``reception`` for what is done."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final
from weakref import WeakValueDictionary

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from store_forward import protocol
from store_forward.cloud.authority import Authority
from store_forward.cloud.boxes import Boxes
from store_forward.cloud.errors import UploadRefused
from store_forward.cloud.peer import PEER_CERTIFICATE
from store_forward.cloud.reception import Reception
from store_forward.cloud.settings import CloudSettings
from store_forward.cloud.uploads import Upload
from store_forward.protocol import BoxId, Enrolment, Outcomes, Receipt, Renewal, UploadMetadata

log = structlog.get_logger()
_OURS: Final = {protocol.TUS_RESUMABLE: protocol.TUS_VERSION, "Cache-Control": "no-store"}
_LARGEST_OUTCOMES_BYTES: Final = 1_048_576
_LARGEST_REQUEST_BYTES: Final = 16_384
_NO_TOKEN: Final = "the token is wrong or missing"


class _AnswersQuery(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)

    box: BoxId
    after: Annotated[int, Field(ge=0)] = 0
    wait_s: Annotated[float, Field(ge=0)] = 0.0


class _Door:
    """Lets in who shows a box's certificate or, where that is enough, the token; compared in constant time.

    ``request.state.box`` is the box that a certificate names, None with the token.
    """

    def __init__(self, app: ASGIApp, token: str | None, boxes: Boxes, certificates_only: bool) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._boxes = boxes
        self._certificates_only = certificates_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != protocol.ENROLMENTS_PATH:
            state = scope.setdefault("state", {})
            shown = state.get(PEER_CERTIFICATE)
            state["box"] = await run_in_threadpool(self._boxes.who, shown) if shown else None
            if state["box"] is None and not self._is_token_enough(scope):
                why = "the box's certificate is missing or was taken back" if self._certificates_only else _NO_TOKEN
                refusal = JSONResponse({"error": why}, 401, {"WWW-Authenticate": "Bearer"})
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_token_enough(self, scope: Scope) -> bool:
        if self._expected is None or (self._certificates_only and scope["path"] != protocol.HEALTH_PATH):
            return False
        shown = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(shown, self._expected)


class Endpoint:
    """The requests a box can make."""

    def __init__(
        self, reception: Reception, boxes: Boxes, settings: CloudSettings, stopping: Callable[[], bool]
    ) -> None:
        self._reception = reception
        self._boxes = boxes
        self._settings = settings
        self._stopping = stopping
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, request: Request) -> Response:
        """POST /v1/uploads: 201 with place and offset, or 200 with the receipt of a payload that is held already."""
        _require_version(request)
        size_bytes = _whole_number(request, protocol.UPLOAD_LENGTH)
        metadata = _metadata(request)
        _require_own(request, metadata.box)
        async with self._alone_with(protocol.upload_id(metadata)):
            found = await run_in_threadpool(self._reception.create, metadata, size_bytes, time.time())
        location = {"Location": f"{protocol.UPLOADS_PATH}/{protocol.upload_id(metadata)}"}
        return _standing(found, 200 if isinstance(found, Receipt) else 201, location)

    async def look(self, request: Request) -> Response:
        """HEAD /v1/uploads/{name}: how far it has got, or its receipt."""
        _require_version(request)
        found = await run_in_threadpool(self._reception.look, request.path_params["name"], time.time())
        if isinstance(found, Upload):
            _require_own(request, found.metadata.box)
        return _standing(found, 200)

    async def take(self, request: Request) -> Response:
        """PATCH /v1/uploads/{name}: one chunk; the answer to the last one is the receipt."""
        _require_version(request)
        if request.headers.get("Content-Type") != protocol.CHUNK_CONTENT_TYPE:
            raise UploadRefused(protocol.UNSUPPORTED_TYPE, f"a chunk is {protocol.CHUNK_CONTENT_TYPE}")
        offset = _whole_number(request, protocol.UPLOAD_OFFSET)
        name = request.path_params["name"]
        async with self._alone_with(name):
            found = await run_in_threadpool(self._reception.look, name, time.time())
            if isinstance(found, Upload):
                _require_own(request, found.metadata.box)
                if found.offset != offset:
                    raise UploadRefused(protocol.OFFSET_CONFLICT, "not where the upload stands", offset=found.offset)
                await self._fill(request, found, offset)
                found = await run_in_threadpool(self._reception.settle, found, time.time()) or found
        return _standing(found, 204)

    async def answers(self, request: Request) -> Response:
        """GET /v1/answers: answers and messages after a number; waits for the first if asked to."""
        try:
            query = _AnswersQuery.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise UploadRefused(400, "box, after and wait_s are not as they must be") from error
        _require_own(request, query.box)
        await run_in_threadpool(self._reception.meet, query.box, time.time())
        clock = asyncio.get_running_loop().time
        until = clock() + min(query.wait_s, self._settings.max_wait_s)
        while True:
            found = await run_in_threadpool(self._reception.answers, query.box, query.after)
            if found.numbers or clock() >= until or self._stopping() or await request.is_disconnected():
                break
            await asyncio.sleep(self._settings.answer_poll_s)
        return Response(found.model_dump_json(), 200, _OURS, "application/json")

    async def outcomes(self, request: Request) -> Response:
        """POST /v1/outcomes: what became of messages; 204 when it is kept."""
        _require_version(request)
        body = await self._body(request, _LARGEST_OUTCOMES_BYTES)
        try:
            told = Outcomes.model_validate_json(body)
        except ValidationError as error:
            raise UploadRefused(400, "these are no outcomes") from error
        _require_own(request, told.box)
        await run_in_threadpool(self._reception.note, told)
        return Response(status_code=204, headers=_OURS)

    async def enrol(self, request: Request) -> Response:
        """POST /v1/enrolments: 201 with a box's first certificate, for a one-time code."""
        body = await self._body(request, _LARGEST_REQUEST_BYTES)
        try:
            asked = Enrolment.model_validate_json(body)
        except ValidationError as error:
            raise UploadRefused(400, "this is no enrolment") from error
        made = await run_in_threadpool(self._boxes.enrol, asked)
        log.info("box.enrolled", box=asked.box)
        return Response(made.model_dump_json(), 201, _OURS, "application/json")

    async def renew(self, request: Request) -> Response:
        """POST /v1/certificates: 201 with the next certificate of the box that shows one."""
        if request.state.box is None:
            raise UploadRefused(403, "only a box that shows its certificate gets the next one")
        body = await self._body(request, _LARGEST_REQUEST_BYTES)
        try:
            asked = Renewal.model_validate_json(body)
        except ValidationError as error:
            raise UploadRefused(400, "this is no renewal") from error
        made = await run_in_threadpool(self._boxes.renew, request.state.box, asked.request)
        log.info("box.renewed", box=request.state.box)
        return Response(made.model_dump_json(), 201, _OURS, "application/json")

    async def health(self, _request: Request) -> Response:
        """GET /v1/health: how many cases stand in each state, and how much room the disk has."""
        counts = await run_in_threadpool(self._reception.counts)
        room = await run_in_threadpool(self._reception.room)
        return JSONResponse({"status": "ok", "cases": counts, "room": room.word}, 200, _OURS)

    async def sweep(self) -> None:
        """Remove stale uploads, again and again until cancelled; what fails now is tried again the next time."""
        while True:
            try:
                await self._sweep_once()
            except (OSError, OperationalError, UploadRefused) as error:
                log.warning("uploads.not_swept", kind=type(error).__name__)
            await asyncio.sleep(self._settings.sweep_every_s)

    async def _sweep_once(self) -> None:
        await run_in_threadpool(self._reception.forget_lost)
        for name in await run_in_threadpool(self._reception.stale, time.time()):
            async with self._alone_with(name):
                await run_in_threadpool(self._reception.remove, name)

    async def _fill(self, request: Request, upload: Upload, offset: int) -> None:
        """Write the request's body to the end of the upload; what arrived before a cut stays."""
        room = min(upload.size_bytes - offset, self._settings.max_chunk_bytes)
        announced = request.headers.get("Content-Length", "")
        if announced.isdigit():
            _require_fits(int(announced), room)
            await run_in_threadpool(self._reception.require_room, int(announced))
        pieces = aiter(request.stream())
        taken = 0
        while (piece := await self._next_piece(pieces)) is not None:
            taken += len(piece)
            if taken > room:
                upload.cut_back(offset)
            _require_fits(taken, room)
            if piece:
                await run_in_threadpool(self._reception.append, upload, piece)

    async def _body(self, request: Request, most: int) -> bytes:
        """A small body, whole. Raises UploadRefused when it is larger or breaks off."""
        body = bytearray()
        pieces = aiter(request.stream())
        while (piece := await self._next_piece(pieces)) is not None:
            body += piece
            if len(body) > most:
                raise UploadRefused(protocol.TOO_LARGE, f"this has at most {most} bytes")
        return bytes(body)

    async def _next_piece(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(self._settings.silence_s):
                return await anext(pieces, None)
        except TimeoutError as error:
            raise UploadRefused(protocol.BROKEN_OFF, "the chunk broke off") from error

    @asynccontextmanager
    async def _alone_with(self, name: str) -> AsyncIterator[None]:
        """Hold one upload; a connection that died without a word is waited for, but not for ever."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with asyncio.timeout(self._settings.silence_s):
                await lock.acquire()
        except TimeoutError as error:
            raise UploadRefused(protocol.LOCKED, "an earlier connection still holds the upload") from error
        try:
            yield
        finally:
            lock.release()


def build_app(settings: CloudSettings, stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """The endpoint as an ASGI application; it opens disk and database when it starts up.

    ``stopping`` is asked while a request waits for answers, so that none holds up a shut-down. Raises
    DatabaseUnusable and OSError at once if the home folder cannot be used.
    """
    reception = Reception(settings)
    authority = Authority(settings.authority)
    boxes = Boxes(reception.engine, authority, settings.certificate_days, time.time)
    endpoint = Endpoint(reception, boxes, settings, stopping)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(endpoint.sweep())
        yield
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        reception.close()

    return Starlette(
        routes=[
            Route(protocol.UPLOADS_PATH, endpoint.create, methods=["POST"]),
            Route(f"{protocol.UPLOADS_PATH}/{{name}}", endpoint.look, methods=["HEAD"]),
            Route(f"{protocol.UPLOADS_PATH}/{{name}}", endpoint.take, methods=["PATCH"]),
            Route(protocol.ANSWERS_PATH, endpoint.answers, methods=["GET"]),
            Route(protocol.OUTCOMES_PATH, endpoint.outcomes, methods=["POST"]),
            Route(protocol.ENROLMENTS_PATH, endpoint.enrol, methods=["POST"]),
            Route(protocol.CERTIFICATES_PATH, endpoint.renew, methods=["POST"]),
            Route(protocol.HEALTH_PATH, endpoint.health, methods=["GET"]),
        ],
        middleware=[Middleware(_Door, token=settings.token, boxes=boxes, certificates_only=settings.certificates_only)],
        exception_handlers={UploadRefused: _refuse, ClientDisconnect: _hang_up},
        lifespan=lifespan,
    )


async def _refuse(_request: Request, error: Any) -> Response:
    headers = dict(_OURS)
    if error.offset is not None:
        headers[protocol.UPLOAD_OFFSET] = str(error.offset)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == protocol.BROKEN_OFF:
        headers["Connection"] = "close"  # else the rest of that chunk still comes when the line is back, for nothing
    return JSONResponse({"error": error.why}, error.status, headers)


async def _hang_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=protocol.BROKEN_OFF)  # nobody is there to read it


def _standing(found: Upload | Receipt, status: int, extra: dict[str, str] | None = None) -> Response:
    headers = {**_OURS, **(extra or {})}
    if isinstance(found, Receipt):
        headers[protocol.RECEIPT] = found.model_dump_json()
        headers[protocol.UPLOAD_OFFSET] = str(found.size_bytes)
    else:
        headers[protocol.UPLOAD_OFFSET] = str(found.offset)
        headers[protocol.UPLOAD_LENGTH] = str(found.size_bytes)
    return Response(status_code=status, headers=headers)


def _require_version(request: Request) -> None:
    if request.headers.get(protocol.TUS_RESUMABLE) != protocol.TUS_VERSION:
        raise UploadRefused(412, f"this endpoint speaks tus {protocol.TUS_VERSION}")


def _require_own(request: Request, box: str) -> None:
    """A certificate speaks for its own box only."""
    shown = getattr(request.state, "box", None)
    if shown is not None and shown != box:
        raise UploadRefused(403, "this certificate is another box's")


def _require_fits(size_bytes: int, room: int) -> None:
    if size_bytes > room:
        raise UploadRefused(400, f"at most {room} bytes are taken here")


def _whole_number(request: Request, header: str) -> int:
    value = request.headers.get(header, "")
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise UploadRefused(400, f"{header} must be a whole number")
    return int(value)


def _metadata(request: Request) -> UploadMetadata:
    try:
        return protocol.decode_metadata(request.headers.get(protocol.UPLOAD_METADATA, ""))
    except ValueError as error:  # pydantic's ValidationError is one
        raise UploadRefused(400, f"{protocol.UPLOAD_METADATA} is not as it must be") from error
