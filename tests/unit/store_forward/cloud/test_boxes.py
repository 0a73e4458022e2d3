"""Boxes known by certificate: enrolment by a one-time code, renewal, revocation, over real TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from store_forward.cloud import boxes
from store_forward.cloud.authority import Authority as BoxAuthority
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.settings import CloudSettings
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.errors import DeliveryDeferred
from store_forward.exchange import Exchange
from store_forward.identity import Identity, KeptCurrent, NotEnrolled
from store_forward.uplink import CloudLink
from tests.certificates import Authority
from tests.unit.store_forward.running_cloud import TOKEN, deliver, running, settings_at


@pytest.fixture
def site(tmp_path: Path) -> Authority:
    """Who vouches for the endpoint."""
    return Authority(tmp_path, "site")


@pytest.fixture
def settings(tmp_path: Path, site: Authority) -> CloudSettings:
    """An endpoint that lets in nobody but enrolled boxes."""
    own = site.vouch("localhost")
    return settings_at(
        tmp_path / "cloud", certificate=own.certificate, private_key=own.private_key, certificates_only=True
    )


@pytest.fixture
def port(settings: CloudSettings) -> Iterator[int]:
    """Where it listens."""
    with running(settings) as port:
        yield port


@contextmanager
def calling(port: int, identity: Identity, token: str | None = None) -> Iterator[Exchange]:
    """Requests that show this identity."""
    exchange = Exchange(f"https://localhost:{port}", token, 20.0, tls=identity.context)
    try:
        yield exchange
    finally:
        exchange.close()


@contextmanager
def link(port: int, identity: Identity, box: str) -> Iterator[CloudLink]:
    """A box's link that shows this identity."""
    opened = CloudLink(f"https://localhost:{port}", None, box, 1 << 16, 20.0, tls=identity.context)
    try:
        yield opened
    finally:
        opened.close()


def code_for(settings: CloudSettings, box: str, hours: float = 1.0, now: float | None = None) -> str:
    """As the operator makes it."""
    engine = open_database(settings.database)
    create_schema(engine, CLOUD_METADATA)
    with writing(engine) as connection:
        code = boxes.make_code(connection, box, time.time() if now is None else now, hours)
    engine.dispose()
    return code


def serials(settings: CloudSettings) -> list[str]:
    """Every certificate that was issued, the oldest first."""
    engine = open_database(settings.database)
    with reading(engine) as connection:
        rows = connection.execute(boxes.box_certificates.select().order_by(boxes.box_certificates.c.issued_at))
        found = [row.serial for row in rows]
    engine.dispose()
    return found


@pytest.fixture
def enrolled(settings: CloudSettings, port: int, site: Authority, tmp_path: Path) -> Callable[[str], Identity]:
    """Enrol a box; the file stays where it lies."""

    def enrol(box: str) -> Identity:
        identity = Identity(tmp_path / f"{box}.pem", site.ca)
        with calling(port, identity) as exchange:
            identity.enrol(exchange, box, code_for(settings, box))
        return identity

    return enrol


def test_an_enrolled_box_needs_no_token(port: int, enrolled: Callable[[str], Identity], tmp_path: Path) -> None:
    """Uploads and answers go by its certificate, also after a new start from the file, which only it reads."""
    enrolled("box-1")
    identity = Identity(tmp_path / "box-1.pem", tmp_path / "site" / "ca.pem")
    assert identity.path.stat().st_mode & 0o077 == 0
    payload = tmp_path / "payload"
    payload.write_bytes(b"x" * 100_000)
    with link(port, identity, "box-1") as opened:
        assert deliver(opened, payload).size_bytes == 100_000
        assert opened.answers(0, 0.0) == []


@pytest.mark.parametrize("token", [None, TOKEN])
def test_without_a_certificate_nobody_is_let_in(port: int, site: Authority, tmp_path: Path, token: str | None) -> None:
    """Not even with the token, which is good for the health of the endpoint alone."""
    with calling(port, Identity(tmp_path / "none.pem", site.ca), token) as exchange:
        for path in ("/v1/answers?box=box-1", "/v1/uploads/x", "/v1/certificates", "/nowhere"):
            assert exchange.ask("GET", path).status == 401
        assert exchange.ask("GET", "/v1/health").status == (401 if token is None else 200)


def test_a_certificate_speaks_for_its_own_box_only(
    port: int, enrolled: Callable[[str], Identity], tmp_path: Path
) -> None:
    """Neither uploads nor answers of another, nor a renewal under another's name."""
    identity = enrolled("box-1")
    payload = tmp_path / "payload"
    payload.write_bytes(b"y" * 1000)
    with link(port, identity, "box-2") as opened:
        with pytest.raises(DeliveryDeferred, match="cloud_credentials_refused"):
            deliver(opened, payload)
        with pytest.raises(DeliveryDeferred, match="cloud_credentials_refused"):
            opened.answers(0, 0.0)
    with calling(port, identity) as exchange:
        identity.renew(exchange, "box-2")
    common_name = x509.load_pem_x509_certificate(identity.path.read_bytes()).subject.rfc4514_string()
    assert common_name == "CN=box-1"


def test_a_code_is_good_once_for_one_box_and_for_a_time(
    settings: CloudSettings, port: int, site: Authority, tmp_path: Path
) -> None:
    """Every other use is refused in the same words, and nothing is kept."""
    identity = Identity(tmp_path / "box-1.pem", site.ca)
    replaced, old = code_for(settings, "box-1"), code_for(settings, "box-3", 1.0, time.time() - 7200)
    good, others = code_for(settings, "box-1"), code_for(settings, "box-2")
    with calling(port, identity) as exchange:
        for box, code in (("box-1", "WRONG"), ("box-1", replaced), ("box-3", old), ("box-1", others)):
            with pytest.raises(NotEnrolled, match="403: the code is wrong, used, too old, or for another box"):
                identity.enrol(exchange, box, code)
        assert not identity.exists
        identity.enrol(exchange, "box-1", f" {good.lower().replace('-', ' ')}\n")
        with pytest.raises(NotEnrolled, match="403"):
            identity.enrol(exchange, "box-1", good)


def test_a_box_that_was_taken_back_is_a_stranger_at_once(
    settings: CloudSettings, port: int, enrolled: Callable[[str], Identity]
) -> None:
    """On the very connection it has open, and its unused codes go with it."""
    identity = enrolled("box-1")
    with link(port, identity, "box-1") as opened, calling(port, identity) as exchange:
        assert opened.answers(0, 0.0) == []
        spare = code_for(settings, "box-1")
        engine = open_database(settings.database)
        with writing(engine) as connection:
            assert boxes.revoke(connection, "box-1", time.time()) == 1
        engine.dispose()
        with pytest.raises(DeliveryDeferred, match="cloud_credentials_refused"):
            opened.answers(0, 0.0)
        with pytest.raises(NotEnrolled, match="401"):
            identity.renew(exchange, "box-1")
        with pytest.raises(NotEnrolled, match="403"):
            identity.enrol(exchange, "box-1", spare)


def test_an_ended_or_foreign_certificate_gets_no_connection(
    settings: CloudSettings, port: int, site: Authority, tmp_path: Path
) -> None:
    """The handshake itself refuses: of our authority but over, and of another authority with the right name."""
    stranger = BoxAuthority(tmp_path / "stranger")
    for authority, now in ((BoxAuthority(settings.authority), time.time() - 90 * 86_400), (stranger, time.time())):
        identity = Identity(tmp_path / "made.pem", site.ca)
        key, request = _request()
        issued = authority.issue(request, "box-1", now, 30.0)
        (tmp_path / "made.pem").write_bytes(key + issued.certificate.encode())
        identity = Identity(tmp_path / "made.pem", site.ca)
        with calling(port, identity, TOKEN) as exchange, pytest.raises(DeliveryDeferred, match="cloud_unreachable"):
            exchange.ask("GET", "/v1/health")


def test_a_certificate_is_renewed_in_good_time(
    settings: CloudSettings, port: int, enrolled: Callable[[str], Identity]
) -> None:
    """Not before two thirds of its span; then with a new key, and the old one goes on counting."""
    identity = enrolled("box-1")
    before, (begin, end) = identity.path.read_bytes(), identity.span()
    with calling(port, identity) as exchange:
        for at, renewed in ((begin + (end - begin) * 0.6, False), (begin + (end - begin) * 0.7, True)):
            assert KeptCurrent(identity, exchange, "box-1", lambda at=at: at).step()  # type: ignore[misc]
            assert (identity.path.read_bytes() != before) is renewed
    assert len(serials(settings)) == 2
    assert len(set(serials(settings))) == 2
    with link(port, identity, "box-1") as opened:
        assert opened.answers(0, 0.0) == []


def test_a_renewal_that_fails_leaves_what_there_is(
    settings: CloudSettings, enrolled: Callable[[str], Identity]
) -> None:
    """The endpoint is away: the file stays as it was, and it is tried again."""
    identity = enrolled("box-1")
    before, (_, end) = identity.path.read_bytes(), identity.span()
    exchange = Exchange("https://localhost:1", None, 1.0, tls=identity.context)
    assert not KeptCurrent(identity, exchange, "box-1", lambda: end).step()
    exchange.close()
    assert identity.path.read_bytes() == before


def test_guessing_is_slowed(settings: CloudSettings, port: int, site: Authority, tmp_path: Path) -> None:
    """After twenty wrong codes in a minute nobody gets further, and it says for how long."""
    good = code_for(settings, "box-1")
    identity = Identity(tmp_path / "box-1.pem", site.ca)
    with calling(port, identity) as exchange:
        for _ in range(20):
            with pytest.raises(NotEnrolled, match="403"):
                identity.enrol(exchange, "box-1", "WRONG")
        with pytest.raises(NotEnrolled, match="429"):
            identity.enrol(exchange, "box-1", good)


def test_a_weak_or_broken_request_is_refused(settings: CloudSettings, port: int, site: Authority) -> None:
    """The code stays good."""
    key = rsa.generate_private_key(65_537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box-1")])
    weak = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    requests = ("nonsense", weak.public_bytes(serialization.Encoding.PEM).decode())
    code = code_for(settings, "box-1")
    context = ssl.create_default_context(cafile=str(site.ca))
    with httpx2.Client(verify=context, trust_env=False) as client:
        for request in requests:
            body = {"box": "box-1", "code": code, "request": request}
            answer = client.post(f"https://localhost:{port}/v1/enrolments", json=body)
            assert answer.status_code == 400
        assert client.post(f"https://localhost:{port}/v1/enrolments", content=b"{" * 20_000).status_code == 413


def test_an_old_tls_gets_no_connection(port: int, site: Authority) -> None:
    """Version 1.1 is refused, as is a client that would not look at the endpoint's certificate's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(site.ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with httpx2.Client(verify=context, trust_env=False) as client, pytest.raises(httpx2.ConnectError):
        client.get(f"https://localhost:{port}/v1/health")


def test_with_the_token_still_enough_a_certificate_binds_all_the_same(
    settings: CloudSettings, site: Authority, tmp_path: Path
) -> None:
    """Boxes move over one by one: the token works without a certificate, and a certificate without the token."""
    both = settings.model_copy(update={"certificates_only": False})
    with running(both) as port:
        identity = Identity(tmp_path / "box-1.pem", site.ca)
        with calling(port, identity, TOKEN) as exchange:
            assert exchange.ask("GET", "/v1/answers?box=box-9").status == 200
            identity.enrol(exchange, "box-1", code_for(both, "box-1"))
        with calling(port, identity) as exchange:
            assert exchange.ask("GET", "/v1/answers?box=box-1").status == 200
            assert exchange.ask("GET", "/v1/answers?box=box-9").status == 403


def _request() -> tuple[bytes, str]:
    key = rsa.generate_private_key(65_537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.public_bytes(serialization.Encoding.PEM).decode()
