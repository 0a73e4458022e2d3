"""DIMSE over TLS with DCMTK in both directions: the right certificate, and all the wrong ones."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from appliance.demo.stage import free_port, listening
from appliance.results.pacs import PacsLink
from appliance.settings import PacsTls
from store_forward.errors import DeliveryDeferred
from tests.certificates import Authority, Identity
from tests.dicom_factory import as_file, chest_pixels, chest_radiograph
from tests.interop.peers import Box, digests, program, run, running, succeed, wait

pytestmark = pytest.mark.interop
_SUCCESS = "DIMSE Status                  : 0x0000: Success"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for box and scanners."""
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def tls_port() -> int:
    """Of the box."""
    return free_port()


@pytest.fixture(scope="module")
def box(authority: Authority, tls_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A receiver as its own process that knows one peer by its certificate; another may come without TLS."""
    own = authority.vouch("127.0.0.1")
    more = (
        f'[dicom.tls]\nport = {tls_port}\ncertificate = "{own.certificate}"\nprivate_key = "{own.private_key}"\n'
        f'client_ca = "{authority.ca}"\n[dicom.peers.CT1]\ncertificates = ["ct1.example.org"]\n[dicom.peers.CT2]\n'
    )
    with Box(tmp_path_factory.mktemp("box"), more).serving("run", "receiver") as serving:
        yield serving


def _over_tls(identity: Identity, authority: Authority, port: int) -> list[str | Path]:
    """What makes a DCMTK program call the box as CT1 over TLS."""
    tls: list[str | Path] = ["+tls", identity.private_key, identity.certificate, "+cf", authority.ca]
    return [*tls, "-aet", "CT1", "-aec", "SCANSIDE", "127.0.0.1", str(port)]


def _wait_for(words: str, box: Box) -> None:
    """The caller has its alert before the box has written its line."""
    wait(lambda: words in box.log.read_text(encoding="utf-8"), 20.0, f"{words!r} in {box.log}")


def test_the_right_certificate(box: Box, authority: Authority, tls_port: int, tmp_path: Path) -> None:
    """``echoscu`` is answered, and what ``storescu`` sends is stored."""
    scanner = authority.vouch("ct1.example.org")
    succeed("echoscu", *_over_tls(scanner, authority, tls_port))
    dataset = chest_radiograph(seed="tls", pixels=chest_pixels(96, 128))
    image = as_file(dataset, tmp_path / "image.dcm")
    assert _SUCCESS in succeed("storescu", "-d", *_over_tls(scanner, authority, tls_port), image)
    assert box.instance(dataset.SOPInstanceUID).source == "CT1"


@pytest.mark.parametrize("kind", ["of another peer", "of another authority", "expired"])
def test_a_wrong_certificate(kind: str, box: Box, authority: Authority, tls_port: int, tmp_path: Path) -> None:
    """No association; the box's log has the reason."""
    if kind == "of another peer":
        wrong, words = authority.vouch("ct2.example.org"), "certificate_not_allowed"
    elif kind == "expired":
        wrong, words = authority.vouch("ct1.example.org", expired=True), "TLS handshake: certificate has expired"
    else:
        wrong = Authority(tmp_path, "strangers").vouch("ct1.example.org")
        words = "TLS handshake: unable to get local issuer certificate"
    ended = run("echoscu", *_over_tls(wrong, authority, tls_port))
    assert ended.returncode != 0
    _wait_for(words, box)


def test_no_certificate(box: Box, authority: Authority, tls_port: int) -> None:
    """DCMTK's anonymous TLS is not enough."""
    anonymous: list[str | Path] = ["+tla", "+cf", authority.ca, "-aet", "CT1", "127.0.0.1", str(tls_port)]
    assert run("echoscu", *anonymous).returncode != 0
    _wait_for("TLS handshake: peer did not return a certificate", box)


def test_plain_into_the_tls_port_and_tls_into_the_plain_one(box: Box, authority: Authority, tls_port: int) -> None:
    """Both end at once with an error at the caller, and the box goes on."""
    assert run("echoscu", "-aet", "CT1", "127.0.0.1", str(tls_port)).returncode != 0
    scanner = authority.vouch("ct1.example.org")
    assert run("echoscu", *_over_tls(scanner, authority, box.port)).returncode != 0
    _wait_for("TLS handshake: wrong version number", box)
    _wait_for("no association was asked for first", box)
    succeed("echoscu", *_over_tls(scanner, authority, tls_port))


def test_plain_from_a_peer_of_tls(box: Box) -> None:
    """On the plain port DCMTK reads a rejection by the service user, without a reason."""
    ended = run("echoscu", "-v", "-aet", "CT1", "127.0.0.1", str(box.port))
    assert ended.returncode != 0
    assert "Rejected Permanent" in ended.stdout
    _wait_for("tls_required", box)


def test_an_unknown_title_is_named_as_such(box: Box) -> None:
    """Calling AE Title Not Recognized (PS3.8 table 9-21)."""
    ended = run("echoscu", "-v", "-aet", "CT9", "127.0.0.1", str(box.port))
    assert "Calling AE Title Not Recognized" in ended.stdout


def test_silent_handshakes_hold_nobody_up(box: Box, authority: Authority, tls_port: int) -> None:
    """Two hundred connections to the TLS port that say nothing, and ``echoscu`` is answered all the same."""
    assert box.port
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", tls_port), timeout=20.0))
        succeed("echoscu", *_over_tls(authority.vouch("ct1.example.org"), authority, tls_port))


@pytest.mark.parametrize("option", ["-tls1_1", "-tls1_2", "-tls1_3"])
def test_versions(option: str, box: Box, authority: Authority, tls_port: int) -> None:
    """OpenSSL itself, allowed everything: 1.1 does not come to a handshake, 1.2 and 1.3 do."""
    assert box.port
    scanner = authority.vouch("ct1.example.org")
    command = [
        *(program("openssl"), "s_client", "-connect", f"127.0.0.1:{tls_port}", option),
        *("-cipher", "ALL:@SECLEVEL=0", "-CAfile", str(authority.ca), "-verify_return_error"),
        *("-cert", str(scanner.certificate), "-key", str(scanner.private_key)),
    ]
    ended = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60.0)
    assert (ended.returncode == 0) is (option != "-tls1_1"), ended.stderr.decode()


@contextmanager
def _archive(folder: Path, authority: Authority, identity: Identity) -> Iterator[int]:
    """DCMTK's storage SCP over TLS, which asks for a certificate; yields its port."""
    folder.mkdir()
    port = free_port()
    tls = ["+tls", str(identity.private_key), str(identity.certificate), "+cf", str(authority.ca)]
    command = [program("storescp"), *tls, "+B", "-dhl", "-aet", "ARCHIVE", "-od", str(folder), "+xa", str(port)]
    with running(command, folder.with_suffix(".log"), lambda: listening(port)):
        yield port


def test_to_an_archive_over_tls(authority: Authority, tmp_path: Path) -> None:
    """A result arrives; with no certificate of ours, or no trust in its own, nothing does and the cause says why."""
    path = as_file(chest_radiograph(seed="out", pixels=chest_pixels(64, 64)), tmp_path / "image.dcm")
    own = authority.vouch("box.example.org")
    right = PacsTls(ca=authority.ca, certificate=own.certificate, private_key=own.private_key)
    wrong = {
        "anonymous": right.model_copy(update={"certificate": None, "private_key": None}),
        "distrust": right.model_copy(update={"ca": Authority(tmp_path, "strangers").ca}),
        "name": right.model_copy(update={"name": "pacs.example.org"}),
    }
    with _archive(tmp_path / "archive", authority, authority.vouch("127.0.0.1")) as port:
        for tls in wrong.values():
            with pytest.raises(DeliveryDeferred, match="TLS"):
                PacsLink("127.0.0.1", port, "ARCHIVE", "SCANSIDE", 20.0, tls).deliver(path)
        assert not digests(tmp_path / "archive")
        assert PacsLink("127.0.0.1", port, "ARCHIVE", "SCANSIDE", 20.0, right).deliver(path) == "status 0x0000"
    assert len(digests(tmp_path / "archive")) == 1
