"""The DICOM door over TLS, tried by a real storage SCU on loopback."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from structlog.testing import capture_logs

from tests.certificates import Authority
from tests.committing_archive import report, send_report
from tests.listening_box import DEADLINE_S, Listen, Scanner, wait_until
from tests.small_box import SCANNER, MakeBox, image


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Who vouches for box and scanners."""
    return Authority(tmp_path / "pki")


def tls_of(authority: Authority, **more: Any) -> dict[str, Any]:
    """``[dicom.tls]`` of a box."""
    box = authority.vouch("localhost")
    files = {"certificate": box.certificate, "private_key": box.private_key, "client_ca": authority.ca}
    return {"port": 0, **files, **more}


@pytest.fixture
def scanner(make_box: MakeBox, listen: Listen, authority: Authority) -> Scanner:
    """One that comes over TLS with its certificate; another peer may come without, so both ports are open."""
    peers = {SCANNER: {"certificates": ["scanner.example.org"]}, "OTHER": {}}
    box = make_box(dicom={"tls": tls_of(authority), "peers": peers})
    found = listen(box)
    found.tls = authority.client(authority.vouch("scanner.example.org"))
    return found


def test_a_store_over_tls(scanner: Scanner) -> None:
    """With the right certificate it is as without TLS, and by version 1.3."""
    association = scanner.open(image())
    assert association.send_c_store(image()).Status == 0x0000
    line = association.dul.socket
    assert line is not None
    assert isinstance(line.socket, ssl.SSLSocket)
    assert line.socket.version() == "TLSv1.3"
    association.release()


def test_the_same_over_tls_1_2_with_forward_secrecy(scanner: Scanner) -> None:
    """BCP 195 wants 1.2 to be there."""
    assert scanner.tls is not None
    scanner.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    association = scanner.open(image())
    assert association.send_c_store(image()).Status == 0x0000
    line = association.dul.socket
    assert line is not None
    assert isinstance(line.socket, ssl.SSLSocket)
    suite = line.socket.cipher()
    assert suite is not None
    assert suite[0].startswith("ECDHE-")
    association.release()


def test_another_peers_certificate_is_refused(scanner: Scanner, authority: Authority) -> None:
    """It is vouched for, but not as this peer: A-ASSOCIATE-RJ, and the log says whose it was."""
    scanner.tls = authority.client(authority.vouch("other.example.org"))
    with capture_logs() as logs:
        association = scanner.open()
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 3)
    (refused,) = [one for one in logs if one["event"] == "association.refused"]
    assert refused["cause"] == "certificate_not_allowed"
    assert "other.example.org" in refused["certificate"]


@pytest.mark.parametrize("kind", ["stranger", "expired", "none"])
def test_nobody_gets_in_without_a_certificate_that_holds(
    kind: str, scanner: Scanner, authority: Authority, tmp_path: Path
) -> None:
    """Of another authority, expired, or none at all: no association, and a line in the log."""
    shown = None
    if kind == "stranger":
        shown = Authority(tmp_path, "strangers").vouch("scanner.example.org")
    elif kind == "expired":
        shown = authority.vouch("scanner.example.org", expired=True)
    scanner.tls = authority.client(shown)
    with capture_logs() as logs:
        association = scanner.open()
        wait_until(lambda: any(one["event"] == "connection.refused" for one in logs), "the log")
    assert not association.is_established
    words = {"stranger": "unable to get local issuer", "expired": "has expired", "none": "did not return a certificate"}
    assert any(words[kind] in one.get("cause", "") for one in logs)


def test_a_revoked_certificate(make_box: MakeBox, listen: Listen, authority: Authority) -> None:
    """What the authority has taken back lets nobody in; another of its certificates does."""
    lost, kept = authority.vouch("lost.example.org"), authority.vouch("kept.example.org")
    scanner = listen(make_box(dicom={"tls": tls_of(authority, client_crl=authority.revoke(lost))}))
    with capture_logs() as logs:
        scanner.tls = authority.client(lost)
        assert not scanner.open().is_established
        wait_until(lambda: any("certificate revoked" in one.get("cause", "") for one in logs), "the log")
    scanner.tls = authority.client(kept)
    assert scanner.gets_through()


def test_versions_before_1_2_are_refused(scanner: Scanner) -> None:
    """Also to a client that would still do them (RFC 8996)."""
    assert scanner.tls is not None
    scanner.tls.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        scanner.tls.minimum_version = ssl.TLSVersion.TLSv1
        scanner.tls.maximum_version = ssl.TLSVersion.TLSv1_1
    assert not scanner.open().is_established


def test_plain_dicom_into_the_tls_port(scanner: Scanner) -> None:
    """The line is closed; the receiver goes on."""
    with capture_logs() as logs:
        assert scanner.tls_port is not None
        wrong = Scanner(scanner.tls_port)
        assert not wrong.open().is_established
        wait_until(lambda: any("TLS handshake" in one.get("cause", "") for one in logs), "the log")
    assert scanner.gets_through()


def test_a_peer_of_tls_may_not_come_without(scanner: Scanner) -> None:
    """On the plain port it is refused without a reason for it, and with one in the log."""
    scanner.tls = None
    with capture_logs() as logs:
        association = scanner.open()
    assert association.is_rejected
    assert association.acceptor.primitive.diagnostic == 1
    assert [one["cause"] for one in logs if one["event"] == "association.refused"] == ["tls_required"]


def test_a_plain_port_for_nobody_is_not_opened(make_box: MakeBox, listen: Listen, authority: Authority) -> None:
    """Where all peers are known by certificate, TLS is the only way in."""
    box = make_box(dicom={"tls": tls_of(authority), "peers": {SCANNER: {"certificates": ["scanner.example.org"]}}})
    scanner = listen(box)
    assert scanner.port == scanner.tls_port


def test_a_certificate_need_not_be_asked_for(make_box: MakeBox, listen: Listen, authority: Authority) -> None:
    """Then TLS only hides, and the peer is known by title and address."""
    tls = tls_of(authority, require_client_certificate=False, client_ca=None)
    scanner = listen(make_box(dicom={"tls": tls, "peers": {SCANNER: {"addresses": ["127.0.0.0/8"]}}}))
    scanner.tls = authority.client(None)
    (answer,) = scanner.send(image())
    assert answer.Status == 0x0000


def test_a_pacs_of_tls_reports_over_tls(make_box: MakeBox, listen: Listen, authority: Authority) -> None:
    """Without it, its report on storage commitment is not taken."""
    pacs = {"name": "archive", "host": "127.0.0.1", "port": 9, "ae_title": "ARCHIVE", "tls": {"ca": authority.ca}}
    scanner = listen(make_box(dicom={"tls": tls_of(authority)}, pacs=[pacs]))
    assert scanner.tls_port is not None
    item, asked = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2", "1.3"
    asked.TransactionUID, asked.ReferencedSOPSequence = "1.4", [item]
    assert send_report(scanner.port, report(asked)) is None
    archive = authority.client(authority.vouch("archive.example.org"))
    assert send_report(scanner.tls_port, report(asked), tls=archive) == 0x0115


def test_hundreds_of_idle_connections_are_harmless(make_box: MakeBox, listen: Listen, authority: Authority) -> None:
    """From many addresses, with and without TLS, none of which speaks: a scanner gets through by both doors."""
    limits = {"max_idle_connections_per_address": 5, "acse_timeout_s": 120}
    scanner = listen(make_box(dicom={"tls": tls_of(authority), **limits}))
    assert scanner.tls_port is not None
    with ExitStack() as idle:
        for number in range(300):
            source = (f"127.0.{1 + number % 60}.1", 0)
            port = (scanner.port, scanner.tls_port)[number % 2]
            idle.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_S, source))
        assert scanner.gets_through()
        scanner.tls = authority.client(authority.vouch("scanner.example.org"))
        (answer,) = scanner.send(image())
        assert answer.Status == 0x0000
