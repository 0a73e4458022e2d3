"""What a stranger's bytes may do to an association: end it, and nothing else.

The library runs two threads for each: one reads the line, the other answers. It catches what a PDU raises in being
decoded, but not what a well-formed PDU at the wrong time raises, or a command without its Command Field. The first
thread then ends, the line stays open, and the second waits for its time-out and counts as an association: fifty such
callers would lock out a scanner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from pynetdicom.association import Association

log = structlog.get_logger()


def guard(association: Association, when_over: Callable[[], None]) -> None:
    """Let both threads of a new association end together, whatever ends the first; called before they start.

    ``when_over`` clears up behind it. It is called after the line is closed, and may have been called before.
    """
    reads_line = association.dul
    run = reads_line.run

    def run_to_the_end() -> None:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - the outermost loop of a thread
            log.warning("association.broken", cause=type(error).__name__)
        finally:
            _end(association, reads_line)
            when_over()

    reads_line.run = run_to_the_end


def _end(association: Association, reads_line: Any) -> None:
    """Close the line and wake the other thread, which takes None for a time-out."""
    association.is_established = False
    association._kill = True
    if reads_line.socket is not None:
        reads_line.socket.close()
    reads_line.to_user_queue.put(None)
