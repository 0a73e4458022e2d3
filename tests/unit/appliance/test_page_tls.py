"""The page over TLS, as the web process opens it."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from appliance.demo.stage import free_port, listening
from appliance.errors import ConfigurationInvalid
from appliance.home import open_home
from appliance.process import PROCESSES
from appliance.settings import Page, Settings
from appliance.tls import PageTls, page_context
from tests.certificates import Authority
from tests.listening_box import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who vouches for the page."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def port(tmp_path: Path, authority: Authority) -> Iterator[int]:
    """The web process of a box with a certificate."""
    own, port = authority.vouch("127.0.0.1"), free_port()
    page = {"port": port, "certificate": own.certificate, "private_key": own.private_key}
    settings = Settings.model_validate({"home": tmp_path / "box", "page": page})
    home, stop = open_home(settings), threading.Event()
    thread = threading.Thread(target=PROCESSES["web"], args=(settings, home, stop))
    thread.start()
    wait_until(lambda: listening(port), "the page to listen")
    yield port
    stop.set()
    thread.join()
    home.engine.dispose()


def test_browsers_come_by_https_and_stay_there(port: int, authority: Authority) -> None:
    """The certificate is verified, the cookie is Secure, and TLS 1.1 is not spoken."""
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    answer = httpx2.get(f"https://127.0.0.1:{port}/", verify=trusting, timeout=60.0)
    assert answer.status_code == 200
    assert "max-age=" in answer.headers["strict-transport-security"]
    assert answer.headers["set-cookie"].startswith("__Host-scanside_visitor=")
    assert "Secure" in answer.headers["set-cookie"]
    old = ssl.create_default_context(cafile=str(authority.ca))
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"https://127.0.0.1:{port}/", verify=old)
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(f"http://127.0.0.1:{port}/")


def test_a_certificate_that_does_not_fit_is_said_at_start(tmp_path: Path, authority: Authority) -> None:
    """With the files, the reason and the repair."""
    one, other = authority.vouch("one.example"), authority.vouch("other.example")
    page = {"certificate": one.certificate, "private_key": other.private_key}
    with pytest.raises(ConfigurationInvalid, match="cannot be used: key values mismatch; give a PEM"):
        page_context(Settings.model_validate({"page": page}).page)


def shown(context: ssl.SSLContext, authority: Authority, name: str) -> bytes:
    """The certificate that a browser is shown, over a connection in memory."""
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    to_page, to_browser = ssl.MemoryBIO(), ssl.MemoryBIO()
    page = context.wrap_bio(to_page, to_browser, server_side=True)
    browser = trusting.wrap_bio(to_browser, to_page, server_hostname=name)
    for side in (browser, page, browser, page):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    found = browser.getpeercert(binary_form=True)
    assert found is not None
    return found


def test_a_renewed_certificate_counts_from_then_on(tmp_path: Path, authority: Authority) -> None:
    """Half a renewal leaves what was there."""
    page = Page(certificate=tmp_path / "page.pem", private_key=tmp_path / "page.key")
    assert page.certificate is not None
    assert page.private_key is not None
    first, second = authority.vouch("box.example"), authority.vouch("other.example", expired=False)
    shutil.copy(first.certificate, page.certificate)
    shutil.copy(first.private_key, page.private_key)
    context = page_context(page)
    assert context is not None
    kept = PageTls(page, context)
    before = shown(context, authority, "box.example")
    shutil.copy(second.certificate, page.certificate)
    kept.look()
    assert shown(context, authority, "box.example") == before
    shutil.copy(second.private_key, page.private_key)
    kept.look()
    assert shown(context, authority, "other.example") != before


def test_without_a_certificate_there_is_no_tls() -> None:
    """As before."""
    assert page_context(Settings().page) is None
