"""What ``scanside check`` says about associations and certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.commands.check_dicom import dicom_results
from appliance.settings import Settings
from tests.certificates import Authority


def _said(**sections: Any) -> dict[str, tuple[bool, str]]:
    results = dicom_results(Settings.model_validate(sections))
    return {one.what: (one.ok, one.detail) for one in results}


def test_who_may_send() -> None:
    """Anybody on loopback, the peers where there are any, and beyond loopback without them nobody, with the repair."""
    assert _said()["dicom"] == (True, "anybody on this machine may send to 127.0.0.1")
    assert _said(dicom={"peers": {"CT1": {}}})["dicom"] == (True, "1 peers may send")
    ok, words = _said(dicom={"host": "0.0.0.0"})["dicom"]
    assert not ok
    assert "add [dicom.peers.NAME]" in words


def test_our_own_certificate(tmp_path: Path) -> None:
    """Until when it holds; an expired one and files that do not fit are said."""
    authority = Authority(tmp_path)

    def tls(**more: Any) -> tuple[bool, str]:
        box = authority.vouch("localhost", expired="expired" in more)
        files = {"certificate": box.certificate, "private_key": box.private_key, "client_ca": authority.ca}
        more.pop("expired", None)
        return _said(dicom={"tls": files | more})["dicom tls"]

    ok, words = tls()
    assert ok, words
    assert words.startswith("certificate until ")
    ok, words = tls(expired=True)
    assert not ok
    assert "certificate has expired" in words
    ok, words = tls(client_ca=tmp_path / "missing.pem")
    assert not ok
    assert "missing.pem cannot be used" in words


def test_files_for_a_pacs(tmp_path: Path) -> None:
    """Usable or not, by the name of the PACS; one without TLS is not looked at."""
    pacs = {"name": "archive", "host": "192.0.2.20", "port": 2762, "ae_title": "PACS"}
    assert "pacs archive" not in _said(pacs=[pacs])
    assert _said(pacs=[pacs | {"tls": {"ca": Authority(tmp_path).ca}}])["pacs archive"][0]
    assert not _said(pacs=[pacs | {"tls": {"ca": tmp_path / "missing.pem"}}])["pacs archive"][0]
