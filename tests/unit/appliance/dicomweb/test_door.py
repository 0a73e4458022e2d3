"""Who may use DICOMweb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.configuration import load_settings
from appliance.dicomweb.door import dicomweb_token
from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from tests.unit.appliance.dicomweb.stow import ROOT, Web

TOKEN = "a token of some length"


def test_it_is_closed_until_it_is_switched_on(web: Callable[..., Web]) -> None:
    """And says what opens it."""
    answer = web(dicomweb={"enabled": False}).get("/studies")
    assert answer.status_code == 404
    assert "dicomweb.enabled" in answer.json()["detail"]


def test_only_who_shows_the_token_comes_in(web: Callable[..., Web], tmp_path: Path) -> None:
    """For reading and for storing."""
    (tmp_path / "token").write_text(TOKEN)
    here = web(dicomweb={"token_file": tmp_path / "token"})
    for shown in ({}, {"Authorization": "Bearer another token"}, {"Authorization": TOKEN}):
        for answer in (here.client.get(f"{ROOT}/studies", headers=shown), here.store(b"", **shown)):
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert here.client.get(f"{ROOT}/studies", headers={"Authorization": f"Bearer {TOKEN}"}).json() == []


def test_beyond_loopback_a_token_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, or with a short one, the box does not start, and says why; on loopback none is needed."""
    monkeypatch.delenv("SCANSIDE_DICOMWEB_TOKEN", raising=False)

    def settings(**own: object) -> Settings:
        return Settings.model_validate({"page": {"host": "0.0.0.0"}, "dicomweb": {"enabled": True, **own}})

    with pytest.raises(ConfigurationInvalid, match="SCANSIDE_DICOMWEB_TOKEN"):
        dicomweb_token(settings())
    (tmp_path / "short").write_text("short")
    with pytest.raises(ConfigurationInvalid, match="shorter than 16"):
        dicomweb_token(settings(token_file=tmp_path / "short"))
    assert dicomweb_token(Settings.model_validate({"dicomweb": {"enabled": True}})) is None


def test_a_viewer_on_another_origin_is_let_in_by_the_configuration_only(web: Callable[..., Web]) -> None:
    """CORS: its question before the request, which shows no token, and the request itself."""
    here = web(dicomweb={"allowed_origins": ["https://viewer.example"]})
    for origin, allowed in (("https://viewer.example", True), ("https://other.example", False)):
        asks = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        before = here.client.options(f"{ROOT}/studies", headers=asks)
        answer = here.client.get(f"{ROOT}/studies", headers={"Origin": origin})
        assert (before.status_code == 200) is allowed
        assert ("access-control-allow-origin" in answer.headers) is allowed


def test_an_origin_is_no_address_of_a_page(tmp_path: Path) -> None:
    """The repair stands in the message."""
    config = tmp_path / "box.toml"
    config.write_text('[dicomweb]\nallowed_origins = ["https://viewer.example/ohif"]\n')
    with pytest.raises(ConfigurationInvalid, match="without a path"):
        load_settings(config)
