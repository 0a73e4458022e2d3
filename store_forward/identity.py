"""By what the cloud knows this box: a key that never leaves it and a certificate, and how both are had and renewed."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ValidationError

from store_forward import protocol
from store_forward.durable import write_durably
from store_forward.errors import DeliveryDeferred
from store_forward.exchange import Exchange
from store_forward.protocol import Enrolled, Enrolment, Renewal

log = structlog.get_logger()
_LOOK_S: Final = 3600.0
_AGAIN_S: Final = 600.0


class NotEnrolled(Exception):
    """The endpoint gave no certificate. Nothing has changed here."""


class Identity:
    """Key and certificate in one file, so that they always fit each other, and the TLS that shows them."""

    def __init__(self, path: Path, ca: Path | None) -> None:
        """``ca``: the authorities that vouch for the endpoint; None: the system's. Raises OSError, ssl.SSLError."""
        self.path = path
        self.context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        if path.exists():
            self.context.load_cert_chain(path)

    @property
    def exists(self) -> bool:
        """Whether this box is enrolled."""
        return self.path.exists()

    def span(self) -> tuple[float, float]:
        """From when to when the certificate counts, epoch s. Raises OSError, ValueError."""
        certificate = x509.load_pem_x509_certificate(self.path.read_bytes())
        return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()

    def enrol(self, exchange: Exchange, box: str, code: str) -> float:
        """Get the first certificate for a one-time code; returns its end, epoch s.

        Raises NotEnrolled with the endpoint's words, DeliveryDeferred when it cannot be reached.
        """
        key, request = _requested(box)
        return self._ask(
            exchange, protocol.ENROLMENTS_PATH, Enrolment(box=box, code=code.strip(), request=request), key
        )

    def renew(self, exchange: Exchange, box: str) -> float:
        """Get the next certificate, with a new key; returns its end, epoch s. Raises as :meth:`enrol`."""
        key, request = _requested(box)
        return self._ask(exchange, protocol.CERTIFICATES_PATH, Renewal(request=request), key)

    def _ask(self, exchange: Exchange, path: str, asked: BaseModel, key: bytes) -> float:
        content = asked.model_dump_json().encode()
        reply = exchange.ask("POST", path, {"Content-Type": "application/json"}, content)
        if reply.status != 201:
            raise NotEnrolled(f"HTTP status {reply.status}: {reply.words()}")
        try:
            made = Enrolled.model_validate_json(reply.body)
        except ValidationError:
            raise NotEnrolled("its answer cannot be read") from None
        write_durably(self.path, key + made.certificate.encode())
        self.context.load_cert_chain(self.path)  # connections from now on show it
        return made.expires_at


class KeptCurrent:
    """Runs in the uplink: the next certificate in good time, at two thirds of the present one's span."""

    def __init__(self, identity: Identity, exchange: Exchange, box: str, clock: Callable[[], float]) -> None:
        self._identity = identity
        self._exchange = exchange
        self._box = box
        self._clock = clock

    def step(self) -> bool:
        """Renew if it is time; False when that failed."""
        try:
            begin, end = self._identity.span()
            if self._clock() < begin + (end - begin) * 2 / 3:
                return True
            until = self._identity.renew(self._exchange, self._box)
        except (DeliveryDeferred, NotEnrolled, OSError, ValueError) as failed:
            log.warning("certificate.not_renewed", kind=type(failed).__name__)
            return False
        log.info("certificate.renewed", days=round((until - self._clock()) / 86_400))
        return True

    def run(self, stop: threading.Event) -> None:
        """Look every hour, and more often while it fails."""
        while not stop.is_set():
            stop.wait(_LOOK_S if self.step() else _AGAIN_S)


def _requested(box: str) -> tuple[bytes, str]:
    """A new private key and the request for a certificate of it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, box)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.public_bytes(serialization.Encoding.PEM).decode()
