"""The endpoint's own certificate authority: it vouches for boxes, and for nothing else."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from store_forward.cloud.errors import UploadRefused
from store_forward.durable import make_folder, write_durably

_YEARS: Final = 20
_DAY: Final = datetime.timedelta(days=1)
#: Clocks of boxes differ: a certificate counts from a day before it was made.
_SKEW: Final = _DAY


@dataclass(frozen=True)
class Issued:
    """A certificate for a box: PEM, its serial number in hexadecimal, and its end in epoch s."""

    certificate: str
    serial: str
    expires_at: float


class Authority:
    """Key and certificate in one PEM file that only the endpoint reads, and the certificate alone beside it."""

    def __init__(self, folder: Path) -> None:
        """Read them; made durably the first time. Raises OSError, ValueError: the file is damaged."""
        make_folder(folder)
        own = folder / "authority.pem"
        if not own.exists():
            write_durably(own, _made())
        content = own.read_bytes()
        key = serialization.load_pem_private_key(content, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(content)
        self.certificate = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.ca_file = folder / "boxes-ca.pem"
        if not self.ca_file.exists() or self.ca_file.read_text() != self.certificate:
            write_durably(self.ca_file, self.certificate.encode())

    def issue(self, request: str, box: str, now: float, days: float) -> Issued:
        """Vouch for whoever made this request (PKCS #10, PEM) as ``box``. Raises UploadRefused: it is no good."""
        try:
            asked = x509.load_pem_x509_csr(request.encode())
            key = asked.public_key()
            whole = asked.is_signature_valid
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise UploadRefused(400, "this is no certificate request") from error
        strong = (
            isinstance(key, ed25519.Ed25519PublicKey)
            or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size >= 256)
            or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048)
        )
        if not whole or not strong:
            raise UploadRefused(400, "the request's signature is wrong or its key is weak")
        moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
        until = moment + days * _DAY
        serial = x509.random_serial_number()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, box)]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(moment - _SKEW)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        return Issued(pem, f"{serial:x}", until.timestamp())


def read_certificate(der: bytes) -> tuple[str, str]:
    """Box name and serial number of a certificate that the handshake has verified."""
    certificate = x509.load_der_x509_certificate(der)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else "", f"{certificate.serial_number:x}"


def _made() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Scanside boxes")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _YEARS * 365 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
