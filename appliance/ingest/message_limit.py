"""A cap on what one DIMSE message may put into memory: all but images, which are streamed to disk."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

import structlog
from pynetdicom import evt

log = structlog.get_logger()
_LARGEST_COMMAND_BYTES: Final = 65_536


class MessageLimit:
    """Looks at each PDU before the library adds it to the message; over the limit the connection is cut."""

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes

    def look(self, event: evt.Event) -> None:
        """For EVT_PDU_RECV."""
        message = event.assoc.dimse.message
        if message is None:
            return
        command_bytes, data_bytes = message.encoded_command_set.tell(), message.data_set.tell()
        if command_bytes <= _LARGEST_COMMAND_BYTES and data_bytes <= self._max_message_bytes:
            return
        log.warning("connection.cut", cause="a message over max_message_bytes", source=_address(event))
        with contextlib.suppress(OSError):  # it has gone by itself
            event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)


def _address(event: evt.Event) -> str:
    return str(event.assoc.requestor.address)
