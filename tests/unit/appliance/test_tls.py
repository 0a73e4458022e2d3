"""TLS contexts: what they refuse, renewal of files, and errors with their repair."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from appliance.errors import ConfigurationInvalid
from appliance.settings import DicomTls, PacsTls
from appliance.tls import ServerTls, client_context, server_context
from tests.certificates import Authority


@pytest.fixture
def settings(tmp_path: Path) -> DicomTls:
    """A box with its files."""
    authority = Authority(tmp_path)
    box = authority.vouch("localhost")
    return DicomTls(certificate=box.certificate, private_key=box.private_key, client_ca=authority.ca)


def test_only_what_bcp_195_allows(settings: DicomTls) -> None:
    """TLS 1.2 at least; every suite of 1.2 with ephemeral keys and authenticated encryption."""
    for context in (server_context(settings), client_context(PacsTls(ca=settings.client_ca), "pacs archive")):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        suites = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] == "TLSv1.2"]
        assert "ECDHE-RSA-AES256-GCM-SHA384" in suites
        assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in suites)


def test_files_that_do_not_fit_are_named(settings: DicomTls, tmp_path: Path) -> None:
    """Missing, of another certificate, or no certificates at all."""
    other = Authority(tmp_path, "other").vouch("localhost")
    wrong = [
        {"certificate": tmp_path / "missing.pem"},
        {"private_key": other.private_key},
        {"client_ca": settings.private_key},
    ]
    for change in wrong:
        with pytest.raises(ConfigurationInvalid, match="cannot be used"):
            server_context(settings.model_copy(update=change))
    with pytest.raises(ConfigurationInvalid, match=r"tls\.ca"):
        client_context(PacsTls(ca=tmp_path / "missing.pem"), "pacs archive")


def test_renewed_files_count(settings: DicomTls, tmp_path: Path) -> None:
    """New files are read at the next look; broken ones leave those before them in use."""
    now = [0.0]
    tls = ServerTls(settings, lambda: now[0])
    first = tls.context()
    now[0] += 60
    assert tls.context() is first
    renewed = Authority(tmp_path, "renewed").vouch("localhost")
    renewed.certificate.replace(settings.certificate)
    now[0] += 60
    assert tls.context() is first
    renewed.private_key.replace(settings.private_key)
    now[0] += 60
    assert tls.context() is not first
