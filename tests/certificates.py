"""Certificate authorities of a test, and the PEM files of those they vouch for."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    private_key: Path


class _ClosingSocket(ssl.SSLSocket):
    """The DICOM library leaves a socket open that it cannot shut down."""

    def shutdown(self, how: int) -> None:
        try:
            super().shutdown(how)
        except OSError:
            self.close()
            raise


class Authority:
    """One authority; ``ca`` is its own certificate."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder / name
        self._folder.mkdir(parents=True)
        self._issuer = trustme.CA()
        self.ca = self._folder / "ca.pem"
        self._issuer.cert_pem.write_to_path(self.ca)

    def vouch(self, name: str, *, expired: bool = False) -> Identity:
        """A certificate for this host name or address."""
        now = datetime.datetime.now(datetime.UTC)
        times: dict[str, Any] = {}
        if expired:
            times = {"not_before": now - datetime.timedelta(days=30), "not_after": now - datetime.timedelta(days=1)}
        issued = self._issuer.issue_cert(name, common_name=f"name of {name}", **times)
        found = Identity(self._folder / f"{name}-{expired}.pem", self._folder / f"{name}-{expired}.key")
        found.certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(found.private_key)
        return found

    def revoke(self, identity: Identity) -> Path:
        """A list of revoked certificates with this one on it."""
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.load_pem_x509_certificate(self.ca.read_bytes())
        lost = x509.load_pem_x509_certificate(identity.certificate.read_bytes())
        entry = x509.RevokedCertificateBuilder().serial_number(lost.serial_number).revocation_date(now).build()
        crl = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).add_revoked_certificate(entry)
        crl = crl.last_update(now).next_update(now + datetime.timedelta(days=1))
        key = serialization.load_pem_private_key(self._issuer.private_key_pem.bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        path = self._folder / "crl.pem"
        path.write_bytes(crl.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path

    def client(self, identity: Identity | None) -> ssl.SSLContext:
        """A client that trusts this authority and shows ``identity``; with all that OpenSSL still has."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.sslsocket_class = _ClosingSocket
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.private_key)
        return context
