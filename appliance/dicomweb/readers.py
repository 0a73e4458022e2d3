"""Files of strangers are opened in processes of their own, which have limits of memory and time, and no network."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Final, TypeVar, TypeVarTuple

import anyio
import structlog
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process
from starlette.exceptions import HTTPException

from appliance.confined import confine

log = structlog.get_logger()
_PROCESSES: Final = 2
_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class Readers:
    """Runs the functions of ``opening``; the processes stay for the next call, and end with this one."""

    def __init__(self, memory_bytes: int, timeout_s: float) -> None:
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._limiter = CapacityLimiter(_PROCESSES)

    async def run(self, work: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
        """What ``work`` returns.

        Raises HTTPException: 503 when it took too long and was ended, 500 when it ended its process.
        """
        try:
            with anyio.fail_after(self._timeout_s):
                return await to_process.run_sync(
                    _limited, self._memory_bytes, work, arguments, cancellable=True, limiter=self._limiter
                )
        except TimeoutError:
            log.warning("dicomweb.reading_too_slow", work=work.__name__)
            raise HTTPException(503, "Reading the file took longer than dicomweb.opening_timeout_s.") from None
        except BrokenWorkerProcess:
            log.warning("dicomweb.reader_died", work=work.__name__)
            raise HTTPException(500, "The file ended the process that read it; retrieve it as it is.") from None


def _limited(memory_bytes: int, work: Callable[[*_Arguments], _Result], arguments: tuple[*_Arguments]) -> _Result:
    confine(to_the_machine=True)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    return work(*arguments)
