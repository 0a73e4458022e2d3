"""Who looks for studies and takes them out by DICOMweb, for the audit trail."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import anyio.to_thread
from sqlalchemy import Engine
from starlette.requests import Request

from appliance.audit.events import AuditEvent, retrieved, searched
from appliance.audit.kept import note, patient_of
from store_forward.database import reading

_SAME_LOOK_S: Final = 600.0
_MOST_REMEMBERED: Final = 1000


class Looks:
    """One for the process.

    A viewer asks for one study in hundreds of requests, and a program for its worklist every few seconds: what the same
    client asks for again within ten minutes of the last time is the same look.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        """``clock`` gives epoch seconds."""
        self._engine, self._clock = engine, clock
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    async def searched(self, request: Request, count: int) -> None:
        """A search was answered with so many objects."""
        address = _address(request)
        if self._is_new(address, str(request.url)):
            await self._note(searched("DICOMweb", address, f"QIDO-RS, {count} answers"))

    async def retrieved(self, request: Request, study_instance_uid: str) -> None:
        """Something of a study is about to be sent."""
        address = _address(request)
        if self._is_new(address, study_instance_uid):
            patient_id = await anyio.to_thread.run_sync(self._patient_of, study_instance_uid)
            await self._note(retrieved("DICOMweb", address, study_instance_uid, patient_id))

    def _is_new(self, address: str, what: str) -> bool:
        now = self._clock()
        with self._lock:
            last = self._last.pop((address, what), None)
            self._last[address, what] = now
            if len(self._last) > _MOST_REMEMBERED:
                self._last.popitem(last=False)
        return last is None or now - last >= _SAME_LOOK_S

    def _patient_of(self, study_instance_uid: str) -> str:
        with reading(self._engine) as connection:
            return patient_of(connection, study_instance_uid)

    async def _note(self, event: AuditEvent) -> None:
        await anyio.to_thread.run_sync(note, self._engine, event, self._clock())


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""
