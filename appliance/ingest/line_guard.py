"""What a stranger's bytes may do to an association: end it, and nothing else.

The library runs two threads for each: one reads the line, the other answers. It catches what a PDU raises in being
decoded, but not what a well-formed PDU at the wrong time raises, a command without its Command Field, or a request for
an association that holds together and makes no sense. One thread then ends, the line stays open, and the other waits
for its time-out and counts as an association: fifty such callers would lock out a scanner.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from pynetdicom.association import Association

log = structlog.get_logger()


def guard(association: Association, when_over: Callable[[], None]) -> None:
    """Let both threads of a new association end together, whatever ends the first; called before they start.

    ``when_over`` clears up behind it. It is called after the line is closed, and may have been called before.
    """
    line, answers = association.dul.run, association.run

    def read_line() -> None:
        try:
            line()
        except Exception as error:  # noqa: BLE001 - the outermost loop of a thread
            log.warning("association.broken", cause=type(error).__name__)
        finally:
            _end(association)
            when_over()

    def answer() -> None:
        try:
            answers()
        except Exception as error:  # noqa: BLE001 - the outermost loop of a thread
            log.warning("association.broken", cause=type(error).__name__)
            _end(association)

    association.dul.run, association.run = read_line, answer


def _end(association: Association) -> None:
    """Close the line, stop reading it, and wake the thread that answers, which takes None for a time-out."""
    reads_line = association.dul
    association.is_established = False
    association._kill = reads_line._kill_thread = True
    if reads_line.socket is not None:
        reads_line.socket.close()
    reads_line.to_user_queue.put(None)
