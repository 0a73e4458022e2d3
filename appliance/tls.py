"""TLS for DICOM after PS3.15 B.12 and B.13 (BCP 195): version 1.2 or 1.3, forward secrecy, authenticated encryption."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from appliance.errors import ConfigurationInvalid
from appliance.settings import DicomTls, PacsTls, Page

log = structlog.get_logger()

#: For TLS 1.2. What 1.3 has is fit as it is. Level 2: nothing below 112 bits, so no RSA key below 2,048 and no SHA-1.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
_Context = TypeVar("_Context", bound=ssl.SSLContext)
_RENEWAL_LOOK_S: Final = 10.0


class ServerTls:
    """What we show who calls, and whom we ask for a certificate; renewed files count from the next connection on."""

    def __init__(self, settings: DicomTls, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the files. Raises ConfigurationInvalid: one is missing or does not fit."""
        self._settings = settings
        self._clock = clock
        self._seen = self._stamps()
        self._context = server_context(settings)
        self._looked_at = clock()

    def context(self) -> ssl.SSLContext:
        """For the next connection. Files that cannot be used are said in the log, and those before them stay."""
        if self._clock() - self._looked_at >= _RENEWAL_LOOK_S:
            self._looked_at = self._clock()
            seen = self._stamps()
            if seen != self._seen:
                self._seen = seen
                self._renew()
        return self._context

    def _renew(self) -> None:
        try:
            self._context = server_context(self._settings)
            log.info("tls.renewed")
        except ConfigurationInvalid as invalid:
            log.error("tls.not_renewed", why="; ".join(invalid.problems))

    def _stamps(self) -> tuple[tuple[int, int] | None, ...]:
        own = self._settings
        files = (own.certificate, own.private_key, own.client_ca, own.client_crl)
        return tuple(_stamp(path) for path in files if path is not None)


def server_context(settings: DicomTls) -> ssl.SSLContext:
    """For connections to us. Raises ConfigurationInvalid: a file is missing or does not fit."""
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    # Nothing is sent after the handshake that is not DICOM: who waits for a byte waits for a PDU.
    context.num_tickets = 0
    _show(context, settings.certificate, settings.private_key, "dicom.tls")
    if settings.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED if settings.require_client_certificate else ssl.CERT_OPTIONAL
        _trust(context, settings.client_ca, "dicom.tls.client_ca")
    if settings.client_crl is not None:
        _trust(context, settings.client_crl, "dicom.tls.client_crl")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def page_context(page: Page) -> ssl.SSLContext | None:
    """For browsers; None where the page goes without TLS. Raises ConfigurationInvalid: a file does not fit."""
    if page.certificate is None or page.private_key is None:
        return None
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    _show(context, page.certificate, page.private_key, "page")
    return context


class PageTls:
    """The context of the page, whose certificate is renewed in place: files that were replaced count from then on."""

    def __init__(self, page: Page, context: ssl.SSLContext) -> None:
        """``context`` is that of :func:`page_context` for this ``page``."""
        self._page, self._context = page, context
        self._seen = self._stamps()

    def watch(self, stop: threading.Event) -> None:
        """Look at the files now and then until ``stop`` is set."""
        while not stop.wait(_RENEWAL_LOOK_S):
            self.look()

    def look(self) -> None:
        """Take renewed files. Those that cannot be used are said in the log, and those before them stay."""
        seen = self._stamps()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            page_context(self._page)  # first apart from what is in use: half a renewal would leave that without a key
            assert self._page.certificate is not None
            self._context.load_cert_chain(self._page.certificate, self._page.private_key, password=_no_password)
            log.info("tls.renewed", where="page")
        except ConfigurationInvalid as invalid:
            log.error("tls.not_renewed", where="page", why="; ".join(invalid.problems))

    def _stamps(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._page.certificate, self._page.private_key) if path is not None)


class ClientTls(ssl.SSLContext):
    """For one connection: remembers why its handshake failed, which the DICOM library does not pass on."""

    failed: str | None = None


class _TellingSocket(ssl.SSLSocket):
    """A socket that leaves word with its context. With TLS 1.3 it learns of a refused certificate when it reads."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError as error:
            self._tell(error)
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self._tell(error)
            raise

    def shutdown(self, how: int) -> None:
        """What cannot be shut down any more is closed, for the library then leaves it as it is."""
        try:
            super().shutdown(how)
        except OSError:
            self.close()
            raise

    def _tell(self, error: OSError) -> None:
        if isinstance(self.context, ClientTls):
            self.context.failed = why(error)


def client_context(settings: PacsTls, where: str) -> ClientTls:
    """For connections from us; ``where`` says whose in the configuration.

    Raises ConfigurationInvalid: a file is missing or does not fit.
    """
    context = _strict(ClientTls(ssl.PROTOCOL_TLS_CLIENT))
    context.sslsocket_class = _TellingSocket
    if settings.certificate is not None and settings.private_key is not None:
        _show(context, settings.certificate, settings.private_key, f"{where}: tls")
    _trust_servers(context, settings.ca, f"{where}: tls.ca")
    return context


def https_context(ca: Path | None, where: str) -> ssl.SSLContext:
    """For HTTPS from us; ``ca`` are the authorities that vouch for the server, None: the system's.

    Raises ConfigurationInvalid: the file is missing or does not fit; ``where`` is its key.
    """
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    _trust_servers(context, ca, where)
    return context


def identities(connection: ssl.SSLSocket) -> frozenset[str]:
    """What the other side's verified certificate says of it: its names in lower case, and ``sha256:`` its digest.

    Empty when it showed none. Names are those of the subject alternative name and the common name (RFC 5280).
    """
    binary = connection.getpeercert(binary_form=True)
    shown = connection.getpeercert()
    if not binary or not shown:
        return frozenset()
    pairs = [*_pairs(shown.get("subjectAltName")), *(pair for rdn in _rdns(shown.get("subject")) for pair in rdn)]
    names = {value.lower() for kind, value in pairs if kind in ("DNS", "IP Address", "URI", "email", "commonName")}
    return frozenset({f"sha256:{hashlib.sha256(binary).hexdigest()}", *names})


def why(error: OSError) -> str:
    """What went wrong in a handshake, in words for the log; nothing of it was chosen by the other side."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).lower().replace("_", " ")
    return error.strerror or type(error).__name__


def _strict(context: _Context) -> _Context:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _show(context: ssl.SSLContext, certificate: Path, private_key: Path, where: str) -> None:
    try:
        context.load_cert_chain(certificate, private_key, password=_no_password)
    except (OSError, ValueError) as error:
        repair = "give a PEM certificate chain and its own PEM key without a password, readable by this user"
        words = f"{certificate} and {private_key} cannot be used: {_reason(error)}; {repair}"
        raise ConfigurationInvalid(where, (words,)) from None


def _trust_servers(context: ssl.SSLContext, authorities: Path | None, where: str) -> None:
    if authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _trust(context, authorities, where)


def _trust(context: ssl.SSLContext, authorities: Path, where: str) -> None:
    try:
        context.load_verify_locations(cafile=authorities)
    except (OSError, ValueError) as error:
        words = f"{authorities} cannot be used: {_reason(error)}; give what authorities have issued, as PEM"
        raise ConfigurationInvalid(where, (words,)) from None


def _no_password() -> str:
    """Asked for only by an encrypted key; without this OpenSSL would ask at the terminal."""
    raise ValueError("the key has a password")


def _reason(error: Exception) -> str:
    return why(error) if isinstance(error, OSError) else str(error)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _pairs(names: object) -> list[tuple[str, str]]:
    return [(str(kind), str(value)) for kind, value in names] if isinstance(names, tuple) else []


def _rdns(subject: object) -> list[list[tuple[str, str]]]:
    return [_pairs(rdn) for rdn in subject] if isinstance(subject, tuple) else []
