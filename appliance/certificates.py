"""The certificates and keys that the configuration names: whose they are, how long they last, whether they fit.

Files are read anew each time. Nothing of a private key is ever kept or shown but whether it belongs to its certificate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from appliance.settings import Settings

_DAY_S: Final = 86_400.0
#: A certificate that ends within so many days is a note, then a problem.
NOTE_DAYS: Final = 30
PROBLEM_DAYS: Final = 7
_MOST_BYTES: Final = 1 << 20
_MOST_IN_A_FILE: Final = 200
_UNREADABLE = (OSError, ValueError, TypeError, UnsupportedAlgorithm)

Use = Literal["own", "authorities", "revoked"]


@dataclass(frozen=True)
class Named:
    """A file that the configuration names, by its key there."""

    key: str
    path: Path
    use: Use
    private_key: Path | None = None


@dataclass(frozen=True)
class CertificateState:
    """What is in one file; times are epoch seconds. ``trouble`` is empty when nothing is wrong with it.

    Of a chain the first certificate is described, of authorities the one that ends first.
    """

    key: str
    path: str
    use: Use
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    valid_from: float = 0.0
    valid_until: float = 0.0
    number: int = 0
    key_matches: bool | None = None
    chain_complete: bool | None = None
    trouble: str = ""

    def days_left(self, now: float) -> int:
        """Whole days until it ends; negative when it has ended."""
        return math.floor((self.valid_until - now) / _DAY_S)


def certificate_states(settings: Settings) -> tuple[CertificateState, ...]:
    """Every certificate file of the configuration."""
    return tuple(_state(named) for named in _named(settings))


def certificate_words(state: CertificateState, now: float) -> tuple[str, str] | None:
    """What a person should be told about it: "problem" or "note", and the sentence with the repair; else None."""
    if state.trouble:
        return "problem", f"{state.key}: {state.path} {state.trouble}."
    if state.key_matches is False:
        return "problem", f"{state.key}: the private key beside {state.path} is not its own; give the right one."
    if state.chain_complete is False:
        return "problem", f"{state.key}: in {state.path} no certificate is signed by the next; put ours first."
    days, what = state.days_left(now), "the list of revoked certificates" if state.use == "revoked" else "certificate"
    renew = "renew it; no restart is needed"
    if now < state.valid_from:
        return "problem", f"{state.key}: {what} {state.path} is not valid yet; look at the clock, or renew it."
    if days < 0:
        return "problem", f"{state.key}: {what} {state.path} has ended; {renew}."
    if days < NOTE_DAYS:
        left = "today" if days == 0 else f"in {days} day{'' if days == 1 else 's'}"
        return ("problem" if days < PROBLEM_DAYS else "note"), f"{state.key}: {what} {state.path} ends {left}; {renew}."
    return None


def _named(settings: Settings) -> Iterator[Named]:
    if (own := settings.dicom.tls) is not None:
        yield Named("dicom.tls.certificate", own.certificate, "own", own.private_key)
        if own.client_ca is not None:
            yield Named("dicom.tls.client_ca", own.client_ca, "authorities")
        if own.client_crl is not None:
            yield Named("dicom.tls.client_crl", own.client_crl, "revoked")
    for pacs in settings.pacs:
        if pacs.tls is not None and pacs.tls.certificate is not None:
            yield Named(f"pacs {pacs.name}: tls.certificate", pacs.tls.certificate, "own", pacs.tls.private_key)
        if pacs.tls is not None and pacs.tls.ca is not None:
            yield Named(f"pacs {pacs.name}: tls.ca", pacs.tls.ca, "authorities")
    cloud = settings.cloud_endpoint
    if cloud.certificate is not None:
        yield Named("cloud_endpoint.certificate", cloud.certificate, "own", cloud.private_key)


def _state(named: Named) -> CertificateState:
    about = (named.key, str(named.path), named.use)
    try:
        data = _read(named.path)
        if named.use == "revoked":
            return _list_state(named, x509.load_pem_x509_crl(data))
        chain = x509.load_pem_x509_certificates(data)[:_MOST_IN_A_FILE]
    except OSError as error:
        return CertificateState(*about, trouble=f"cannot be read: {error.strerror or error}")
    except _UNREADABLE:
        return CertificateState(*about, trouble="is not PEM with what it should hold")
    shown = chain[0] if named.use == "own" else min(chain, key=lambda one: one.not_valid_after_utc)
    return CertificateState(
        *about,
        subject=shown.subject.rfc4514_string(),
        issuer=shown.issuer.rfc4514_string(),
        names=_names(shown),
        valid_from=shown.not_valid_before_utc.timestamp(),
        valid_until=min(one.not_valid_after_utc for one in (chain if named.use == "own" else [shown])).timestamp(),
        number=len(chain),
        key_matches=_matches(shown, named.private_key) if named.use == "own" else None,
        chain_complete=_is_whole(chain) if named.use == "own" else None,
    )


def _list_state(named: Named, revoked: x509.CertificateRevocationList) -> CertificateState:
    ends = revoked.next_update_utc
    return CertificateState(
        named.key,
        str(named.path),
        named.use,
        issuer=revoked.issuer.rfc4514_string(),
        valid_from=revoked.last_update_utc.timestamp(),
        valid_until=ends.timestamp() if ends else math.inf,
        number=len(revoked),
    )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise ValueError("too long")
    return data


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names (RFC 5280 4.2.1.6)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(str(name.value) for name in found)


def _matches(certificate: x509.Certificate, private_key: Path | None) -> bool:
    """Whether the key file holds the key of this certificate; one that cannot be read does not."""
    if private_key is None:
        return False
    try:
        own = load_pem_private_key(_read(private_key), None).public_key()
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return own.public_bytes(*form) == certificate.public_key().public_bytes(*form)
    except _UNREADABLE:
        return False


def _is_whole(chain: list[x509.Certificate]) -> bool:
    """Whether each is signed by the next. Beyond the last, who verifies must know its issuer."""
    for one, issuer in pairwise(chain):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
    return True
