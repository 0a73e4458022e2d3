"""The endpoint's settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from store_forward.cloud.settings import CloudSettings


def test_everything_lies_in_the_home_folder(tmp_path: Path) -> None:
    """Database, spool and uploads: one folder to back up, one filesystem to rename within."""
    settings = CloudSettings(home=tmp_path, token="long enough")
    assert {settings.database.parent, settings.spool.parent, settings.uploads.parent} == {tmp_path}


@pytest.mark.parametrize("wrong", [{"certificate": "c.pem"}, {"port": -1}, {"max_uploads": 0}, {"silence": 3}])
def test_wrong_settings_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    """Half of TLS, no port, no room, no such key."""
    with pytest.raises(ValidationError):
        CloudSettings.model_validate({"home": tmp_path, "token": "long enough", **wrong})


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    """Neither in a print-out nor in a complaint about it."""
    assert "long enough" not in repr(CloudSettings(home=tmp_path, token="long enough"))
    with pytest.raises(ValidationError) as told:
        CloudSettings(home=tmp_path, token="secret")
    assert "secret" not in str(told.value)
