"""Callers that were refused go into the audit trail, but nobody can fill a disk by calling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from appliance.audit.kept import caller_refused
from store_forward.database import writing

log = structlog.get_logger()
_WINDOW_S: Final = 60.0
_MOST_IN_WINDOW: Final = 60


class Strangers:
    """Notes each address and cause once a minute, and no more than sixty a minute in all; the log has every one."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._noted: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def note(self, ae_title: str, address: str, cause: str, now: float) -> None:
        """A disk that does not take it is said in the log; the caller stays refused."""
        if not self._is_new(address, cause):
            return
        try:
            with writing(self._engine) as connection:
                caller_refused(connection, ae_title, address, cause, now)
        except OperationalError as error:
            log.error("audit.not_recorded", kind=type(error.orig).__name__)

    def _is_new(self, address: str, cause: str) -> bool:
        with self._lock:
            now = self._monotonic()
            self._noted = {what: at for what, at in self._noted.items() if now - at < _WINDOW_S}
            if (address, cause) in self._noted or len(self._noted) >= _MOST_IN_WINDOW:
                return False
            self._noted[address, cause] = now
            return True
