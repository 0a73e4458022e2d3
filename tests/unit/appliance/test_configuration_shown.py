"""The configuration as it is shown and handed out."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from appliance.configuration import load_settings
from appliance.configuration_shown import as_toml, found_in, settings_shown
from appliance.settings import Settings

TEXT = """
home = "/srv/böx"
[dicom]
port = 104
[dicom.peers."CT 1"]
addresses = ["192.0.2.7"]
[cloud]
url = "https://me:hush@cloud.example.org:8443"
token_file = "/secret/token"
[[webhook]]
name = "alarm"
url = "https://alarm.example.org/hook?key=hush"
secret_file = "/secret/hook"
[[pacs]]
name = "archive"
host = "10.0.0.5"
port = 104
ae_title = "ARCHIVE"
[pacs.tls]
name = "pacs.example.org"
[[rule]]
name = "qa"
triage = "phantom"
match = { PatientID = ["QA*", "x\\ty"], SeriesNumber = 3, ViewCodeSequence = { CodeValue = "1" } }
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the machine the tests run on."""
    for name in ("SCANSIDE_CONFIG", "SCANSIDE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What the text above says."""
    path = tmp_path / "scanside.toml"
    path.write_text(TEXT, encoding="utf-8")
    return load_settings(path)


def test_every_setting_with_where_it_comes_from(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, default, source, and that certificates count at once."""
    shown = {one.key: one for one in settings_shown(settings)}
    port = shown["dicom.port"]
    assert (port.value, port.default, port.source, port.description) == ("104", "11112", "file", "DICOM port")
    assert shown["page.port"].source == "default"
    assert shown["dicom.peers.CT 1.addresses"].value == '["192.0.2.7"]'
    assert shown["pacs.archive.tls.ca"].at_once
    assert not port.at_once
    monkeypatch.setenv("SCANSIDE_HOME", "/srv/böx")
    assert {one.key: one for one in settings_shown(settings)}["home"].source == "environment"


def test_nothing_secret_is_shown_or_handed_out(settings: Settings) -> None:
    """The password of a URL is masked; of a secret only where it is stands there."""
    whole = repr(settings_shown(settings)) + as_toml(settings)
    assert "hush" not in whole
    assert "•••@cloud.example.org:8443" in whole
    assert "https://alarm.example.org/hook?•••" in whole
    assert "/secret/token" in whole


def test_the_search_finds_by_every_word(settings: Settings) -> None:
    """In key, value and meaning, whatever the case."""
    shown = settings_shown(settings)
    assert "dicom.peers.CT 1.report_port" in {one.key for one in found_in(shown, "peers PORT")}
    assert [one.key for one in found_in(shown, "ae_title our")] == ["dicom.ae_title"]
    assert found_in(shown, "nonsense") == []
    assert found_in(shown, " ") == shown


def test_what_is_handed_out_means_the_same(settings: Settings) -> None:
    """But for what is masked."""
    again = Settings.model_validate(tomllib.loads(as_toml(settings)))
    unmasked = again.cloud.model_copy(update={"url": settings.cloud.url})
    assert again.model_copy(update={"cloud": unmasked, "webhook": settings.webhook}) == settings


def test_the_defaults_can_be_handed_out() -> None:
    """Without any file."""
    assert Settings.model_validate(tomllib.loads(as_toml(Settings()))) == Settings()
