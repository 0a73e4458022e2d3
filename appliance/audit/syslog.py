"""Tells a syslog server what was recorded: RFC 5425 (syslog over TLS), in order, from where it was left off.

Syslog has no receipt: what was written to a connection that then broke may be lost with it, so the last rows before a
break are told again. Where messages are missing nonetheless, the sequence numbers and digests in them show it.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert

from appliance.audit.message import syslog_message
from appliance.audit.trail import audit_told, rows
from appliance.settings import AuditSyslog
from appliance.tls import ClientTls, client_context, why
from store_forward.database import reading, writing

log = structlog.get_logger()
_LOOK_S: Final = 1.0
_PAUSE_S: Final = 10.0
_TIMEOUT_S: Final = 20.0
_AT_ONCE: Final = 200
#: So many rows before a break are told again: they may have been in a buffer that nobody read.
_AGAIN: Final = 20


def syslog_context(settings: AuditSyslog) -> ClientTls:
    """TLS towards the syslog server. Raises ConfigurationInvalid: a file cannot be used."""
    return client_context(settings.tls, "audit.syslog")


class SyslogTeller:
    """Runs in the uplink process; one connection, kept open."""

    def __init__(self, settings: AuditSyslog, source: str, engine: Engine) -> None:
        """Raises ConfigurationInvalid: a certificate or key cannot be used."""
        self._settings = settings
        self._source = source
        self._engine = engine
        self._context = syslog_context(settings)
        self._receiver = f"{settings.host}:{settings.port}"
        self._line: ssl.SSLSocket | None = None

    def run(self, stop: threading.Event) -> None:
        """Tell what is new until told to stop; a server that is away is tried again, with what it missed."""
        try:
            while not stop.is_set():
                stop.wait(_LOOK_S if self.step() else _PAUSE_S)
        finally:
            self.hang_up()

    def step(self) -> bool:
        """Tell all there is; False when the server cannot be reached."""
        try:
            while self._tell_some():
                pass
        except OSError as error:
            self.hang_up()
            self._note(None, why(error))
            log.warning("audit.not_told", why=why(error))
            return False
        return True

    def _tell_some(self) -> bool:
        with reading(self._engine) as connection:
            query = select(audit_told.c.seq).where(audit_told.c.receiver == self._receiver)
            told = connection.scalar(query) or 0
            after = max(told - _AGAIN, 0) if self._line is None else told
            found = [row for row, _ in zip(rows(connection, after), range(_AT_ONCE), strict=False)]
        if not found or found[-1].seq <= told:
            return False
        line = self._line or self._call()
        host = socket.gethostname()
        for row in found:
            message = syslog_message(row, self._source, host)
            line.sendall(str(len(message)).encode() + b" " + message)  # octet counting, RFC 5425 4.3
        self._note(found[-1].seq, "")
        return True

    def _call(self) -> ssl.SSLSocket:
        own = self._settings
        plain = socket.create_connection((own.host, own.port), _TIMEOUT_S)
        line = self._context.wrap_socket(plain, server_hostname=own.tls.name or own.host, do_handshake_on_connect=False)
        try:
            line.do_handshake()
        except OSError:
            line.close()
            raise
        self._line = line
        return line

    def hang_up(self) -> None:
        """End the connection as RFC 5425 4.4 wants it: closed unread, what was sent last would be lost."""
        if self._line is not None:
            with suppress(OSError):
                self._line.unwrap()
            self._line.close()
            self._line = None

    def _note(self, seq: int | None, trouble: str) -> None:
        row = {"receiver": self._receiver, "seq": seq or 0, "trouble": trouble}
        statement = insert(audit_told).values(row)
        changed = {"trouble": trouble} | ({} if seq is None else {"seq": seq})
        with writing(self._engine) as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["receiver"], set_=changed))
