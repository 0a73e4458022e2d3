"""What is said about certificate files."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from appliance.certificates import CertificateState, certificate_states, certificate_words
from appliance.settings import Settings
from tests.certificates import Authority, Identity


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """One that the files below are from."""
    return Authority(tmp_path)


def states(identity: Identity, **further: Path) -> tuple[CertificateState, ...]:
    """Of a box that shows this to who calls."""
    files = {"certificate": identity.certificate, "private_key": identity.private_key, **further}
    return certificate_states(
        Settings.model_validate({"dicom": {"tls": {"require_client_certificate": "client_ca" in further, **files}}})
    )


def words(state: CertificateState, now: float) -> str:
    """Severity and sentence, or nothing."""
    return " ".join(certificate_words(state, now) or ())


def test_a_good_certificate(authority: Authority) -> None:
    """Whose it is, who says so, for which names, how long, and that its key is its own."""
    (own, ca) = states(authority.vouch("box.example.org"), client_ca=authority.ca)
    assert "name of box.example.org" in own.subject
    assert own.issuer == ca.subject
    assert own.names == ("box.example.org",)
    assert (own.key_matches, own.chain_complete, own.trouble) == (True, True, "")
    whole = load_pem_x509_certificate(Path(own.path).read_bytes())
    assert own.valid_until == whole.not_valid_after_utc.timestamp()
    assert words(own, time.time()) == "" == words(ca, time.time())


@pytest.mark.parametrize(
    ("days_before", "said"),
    [
        (31.0, ""),
        (29.5, "note dicom.tls.certificate"),
        (7.5, "ends in 7 days"),
        (6.5, "problem dicom.tls.certificate"),
        (1.5, "ends in 1 day;"),
        (0.5, "ends today"),
        (-0.5, "has ended"),
    ],
)
def test_before_the_end(authority: Authority, days_before: float, said: str) -> None:
    """A note within 30 days, a problem within 7, with the repair."""
    (own,) = states(authority.vouch("box"))
    found = words(own, own.valid_until - days_before * 86_400)
    assert said in found
    assert bool(found) == bool(said)
    assert "renew it" in found or not said


def test_the_clock_is_before_its_beginning(authority: Authority) -> None:
    """A box whose clock has lost its battery."""
    (own,) = states(authority.vouch("box"))
    assert "not valid yet; look at the clock" in words(own, own.valid_from - 1)


def test_a_key_that_is_not_its_own(authority: Authority) -> None:
    """Also one that cannot be read; nothing of either is said."""
    one, other = authority.vouch("one"), authority.vouch("other")
    (own,) = states(Identity(one.certificate, other.private_key))
    assert own.key_matches is False
    assert "not its own" in words(own, time.time())
    assert "PRIVATE" not in repr(own)


def test_a_chain_in_the_wrong_order(authority: Authority, tmp_path: Path) -> None:
    """Ours must come first, each signed by the next."""
    own = authority.vouch("box")
    turned = tmp_path / "turned.pem"
    turned.write_bytes(own.certificate.read_bytes() + authority.ca.read_bytes())
    assert states(Identity(turned, own.private_key))[0].chain_complete is True
    other = Authority(tmp_path, "other").ca
    turned.write_bytes(own.certificate.read_bytes() + other.read_bytes())
    (found,) = states(Identity(turned, own.private_key))
    assert "no certificate is signed by the next" in words(found, time.time())


@pytest.mark.parametrize("content", [None, b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"x" * 2_000_000])
def test_files_that_hold_something_else(authority: Authority, tmp_path: Path, content: bytes | None) -> None:
    """Named, with what is wrong."""
    path = tmp_path / "own.pem"
    if content is not None:
        path.write_bytes(content)
    (found,) = states(Identity(path, authority.vouch("box").private_key))
    assert str(path) in words(found, time.time())
    assert found.trouble


def test_the_list_of_revoked_certificates_ends_too(authority: Authority) -> None:
    """It has to be renewed in time, or nobody gets in."""
    crl = authority.revoke(authority.vouch("lost"))
    *_, revoked = states(authority.vouch("box"), client_ca=authority.ca, client_crl=crl)
    assert (revoked.use, revoked.number) == ("revoked", 1)
    at = datetime.datetime.fromtimestamp(revoked.valid_until, datetime.UTC).timestamp()
    assert "the list of revoked certificates" in words(revoked, at + 1)
