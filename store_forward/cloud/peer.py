"""The HTTP server's connection, which tells the application what certificate the other side has shown."""

from __future__ import annotations

import asyncio
from typing import Final

from store_forward.http_connections import TimedConnection

#: In a request's state: the verified certificate (DER); absent without TLS, None when none was shown.
PEER_CERTIFICATE: Final = "peer_certificate"


class TellingProtocol(TimedConnection):
    """One connection. The server itself knows the certificate and does not pass it on."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the certificate for every request of this connection."""
        line = transport.get_extra_info("ssl_object")
        if line is not None:
            self.app_state = {**self.app_state, PEER_CERTIFICATE: line.getpeercert(binary_form=True)}
        super().connection_made(transport)
