"""Certificate authorities of a test, and the PEM files of those they vouch for."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme


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

    def client(self, identity: Identity | None) -> ssl.SSLContext:
        """A client that trusts this authority and shows ``identity``; with all that OpenSSL still has."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.sslsocket_class = _ClosingSocket
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.private_key)
        return context
