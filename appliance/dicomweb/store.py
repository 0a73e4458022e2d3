"""STOW-RS: every part is admitted like an instance of C-STORE, and reported as stored only when it is durable."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.to_thread
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from appliance.dicomweb.accept import wants_json
from appliance.dicomweb.body import ReceivedPart, body_for
from appliance.dicomweb.words import DICOM, DICOM_JSON, SOURCE, root_of
from appliance.errors import CannotUnderstand, DataSetDoesNotMatch, InstanceTooLarge, OutOfResources, ReceiveError
from appliance.ingest.admit import Admission
from appliance.ingest.header import Header, read_header
from appliance.settings import Settings
from store_forward.errors import SpoolFull
from store_forward.spool import Spool

log = structlog.get_logger()
_RETRY_AFTER: Final = {"Retry-After": "30"}
_LONGEST_WARNING: Final = 200
_MOST_READ_OFF_BYTES: Final = 64 << 20
_READ_OFF_S: Final = 2.0


@dataclass(frozen=True)
class Refused:
    """A part that was not taken; its header is None when it could not be read."""

    header: Header | None
    error: ReceiveError


@dataclass
class Account:
    """What became of the parts of one request."""

    stored: list[Header] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    @property
    def status(self) -> int:
        """200 all stored, 202 some; without any: 507 no room, 413 over a limit, else 409 (PS3.18 table 10.5.3-1)."""
        if not self.refused:
            return 200
        if self.stored:
            return 202
        for kind, status in ((OutOfResources, 507), (InstanceTooLarge, 413)):
            if all(isinstance(one.error, kind) for one in self.refused):
                return status
        return 409


class StoreEndpoint:
    """Answers POST; one for the process. ``clock`` gives epoch seconds."""

    def __init__(self, settings: Settings, admission: Admission, spool: Spool, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._admission = admission
        self._spool = spool
        self._clock = clock
        self._running = 0

    async def answer(self, request: Request) -> Response:
        """Store what the request holds."""
        try:
            return await self._answer(request)
        except HTTPException:
            await _read_off(request)
            raise

    async def _answer(self, request: Request) -> Response:
        wants_json(request)
        if self._running >= self._settings.dicomweb.max_stores:
            raise HTTPException(503, "The box takes as many requests to store as it may; try again.", _RETRY_AFTER)
        self._running += 1
        try:
            return await self._store(request)
        finally:
            self._running -= 1

    async def _store(self, request: Request) -> Response:
        study = request.path_params.get("study")
        account = Account()
        body = body_for(
            request.headers.get("content-type", ""),
            self._spool,
            self._settings.limits.max_instance_bytes,
            lambda part: self._take(part, study, account),
        )
        self._check_size(request)
        try:
            await self._read(request, body.write)
            await anyio.to_thread.run_sync(body.end)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(body.drop)
                await anyio.to_thread.run_sync(self._released, account)
        if not account.stored and not account.refused:
            raise HTTPException(400, "There is no instance in the request.")
        return _answer(account, root_of(request, self._settings.dicomweb.public_url))

    def _check_size(self, request: Request) -> None:
        announced = int(request.headers.get("content-length", "0"))
        if announced > self._settings.dicomweb.max_request_bytes:
            raise self._too_long()
        try:
            self._spool.require_room(announced)
        except SpoolFull as full:
            raise HTTPException(507, f"The disk is nearly full; send it again later: {full}.", _RETRY_AFTER) from None

    def _too_long(self) -> HTTPException:
        most = self._settings.dicomweb.max_request_bytes
        return HTTPException(413, f"The request is over dicomweb.max_request_bytes = {most}; send it in several.")

    async def _read(self, request: Request, write: Callable[[bytes], None]) -> None:
        received, stream = 0, request.stream().__aiter__()
        while True:
            try:
                with anyio.fail_after(self._settings.dicomweb.silence_s):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise HTTPException(408, "The request said nothing for dicomweb.silence_s; send it again.") from None
            except ClientDisconnect:
                raise HTTPException(400, "The sender has gone.") from None
            received += len(piece)
            if received > self._settings.dicomweb.max_request_bytes:
                raise self._too_long()
            await anyio.to_thread.run_sync(write, piece)

    def _take(self, part: ReceivedPart, study: str | None, account: Account) -> None:
        header: Header | None = None
        try:
            if part.refused is None:
                with contextlib.suppress(CannotUnderstand):  # then the admission says so, and keeps it aside
                    header = read_header(self._spool.content(part.path))
            _check_part(part)
            if header is not None and study is not None and header.study_instance_uid != study:
                raise DataSetDoesNotMatch("the instance is of another study than the address says")
            self._admission.admit(part.path, SOURCE, self._clock())
        except ReceiveError as error:
            self._refuse(part, header, error, account)
        except OSError as error:
            self._refuse(part, header, OutOfResources(f"the spool cannot be read: {error.strerror}"), account)
        else:
            assert header is not None
            account.stored.append(header)

    def _refuse(self, part: ReceivedPart, header: Header | None, error: ReceiveError, account: Account) -> None:
        with contextlib.suppress(OSError):  # the sweep of the folder removes what this leaves
            part.path.unlink(missing_ok=True)
        account.refused.append(Refused(header, error))
        log.warning("instance.refused", reason=error.reason, status=f"0x{error.dicom_status:04X}", source=SOURCE)

    def _released(self, account: Account) -> None:
        """The end of a request is to STOW-RS what the release of the association is to C-STORE."""
        if account.stored:
            self._admission.released({one.study_instance_uid for one in account.stored}, SOURCE, self._clock())


async def _read_off(request: Request) -> None:
    """Read some more of what is refused: a connection closed on a sender may take the answer with it."""
    left = _MOST_READ_OFF_BYTES
    with anyio.move_on_after(_READ_OFF_S), contextlib.suppress(ClientDisconnect, RuntimeError):
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                return


def _check_part(part: ReceivedPart) -> None:
    if part.refused is not None:
        raise OutOfResources(f"the spool cannot be written: {part.refused}")
    if part.too_large:
        raise InstanceTooLarge("instance is over max_instance_bytes")
    if not part.complete:
        raise CannotUnderstand("the request ended within this instance; send it again")
    if part.media_type != DICOM:
        raise CannotUnderstand(f"a part that is not {DICOM}")


def _answer(account: Account, root: str) -> Response:
    """The Store Instances Response Module (PS3.18 table I.2.1-1) as DICOM JSON."""
    module: dict[str, Any] = {}
    studies = {one.study_instance_uid for one in account.stored}
    if len(studies) == 1:
        module["00081190"] = {"vr": "UR", "Value": [f"{root}studies/{studies.pop()}"]}
    if failed := [_failure(one) for one in account.refused if one.header is not None]:
        module["00081198"] = {"vr": "SQ", "Value": failed}
    if account.stored:
        module["00081199"] = {"vr": "SQ", "Value": [_success(one, root) for one in account.stored]}
    if other := [_reason(one) for one in account.refused if one.header is None]:
        module["0008119A"] = {"vr": "SQ", "Value": other}
    headers = _RETRY_AFTER if account.status == 507 else {}
    if account.refused:
        comment = account.refused[0].error.comment.encode("ascii", "replace").decode()[:_LONGEST_WARNING]
        headers = headers | {"Warning": f'299 scanside "{comment.translate(_QUOTABLE)}"'}
    return Response(json.dumps(module), account.status, headers, DICOM_JSON)


_QUOTABLE: Final = {ord('"'): "'", ord("\\"): "/", ord("\r"): " ", ord("\n"): " "}


def _identity(header: Header) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [header.sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [header.sop_instance_uid]},
    }


def _success(header: Header, root: str) -> dict[str, Any]:
    place = f"studies/{header.study_instance_uid}/series/{header.series_instance_uid}"
    address = f"{root}{place}/instances/{header.sop_instance_uid}"
    return {**_identity(header), "00081190": {"vr": "UR", "Value": [address]}}


def _reason(refused: Refused) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [refused.error.dicom_status]}}


def _failure(refused: Refused) -> dict[str, Any]:
    assert refused.header is not None
    return {**_identity(refused.header), **_reason(refused)}
