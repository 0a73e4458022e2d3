"""Where the box's key comes from, and what a start does without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.box_key import BESIDE, CREDENTIAL, home_keys, key_place, read_key
from appliance.disk.upkeep import prepare_home
from appliance.home import open_home, site_key_of
from appliance.settings import Settings
from appliance.start.plan import make_plan
from store_forward.durable import write_durably
from store_forward.errors import KeyUnusable
from store_forward.keys import new_key


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A box that was never started."""
    return Settings(home=tmp_path / "box")


def make(settings: Settings) -> None:
    """Start it once."""
    prepare_home(settings).engine.dispose()


def test_a_new_box_is_sealed_with_a_key_beside(settings: Settings) -> None:
    """Without being asked; only its owner can read the key."""
    make(settings)
    path = settings.home / BESIDE
    assert (key_place(settings).kind, key_place(settings).path) == ("beside", path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(read_key(path)) == 32
    assert b"SQLite format" not in (settings.home / "scanside.db").read_bytes()


def test_a_key_elsewhere(settings: Settings, tmp_path: Path) -> None:
    """Made there if it is not there yet, and none in the home."""
    settings = Settings.model_validate({"home": settings.home, "at_rest": {"key_file": tmp_path / "usb" / "key"}})
    make(settings)
    assert (tmp_path / "usb" / "key").exists()
    assert not (settings.home / BESIDE).exists()


def test_a_credential_of_the_service_manager(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands before the key beside; it is never made by us."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert key_place(settings).kind == "beside"
    write_durably(tmp_path / CREDENTIAL, new_key().hex().encode())
    assert key_place(settings).kind == "credential"
    make(settings)
    assert not (settings.home / BESIDE).exists()
    (tmp_path / CREDENTIAL).unlink()
    with pytest.raises(KeyUnusable, match=r"box\.key is not there"):
        home_keys(settings)


def test_a_box_that_was_made_without_stays_without(settings: Settings) -> None:
    """An update must not stop it; scanside check says so."""
    plain = Settings.model_validate({"home": settings.home, "at_rest": {"encrypt": False}})
    make(plain)
    assert home_keys(settings) is None
    assert open_home(settings).spool.seal is None
    assert not (settings.home / BESIDE).exists()


def test_a_box_that_was_made_with_stays_with(settings: Settings) -> None:
    """Whatever the configuration says by then."""
    make(settings)
    plain = Settings.model_validate({"home": settings.home, "at_rest": {"encrypt": False}})
    home = open_home(plain)
    assert home.spool.seal is not None
    home.engine.dispose()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "is not there"),
        (lambda path: path.chmod(0o644), "can be read by others"),
        (lambda path: path.write_bytes(b"no key"), "holds no key"),
        (lambda path: path.write_text(new_key().hex()), "is not one of those that open this home"),
    ],
    ids=["missing", "open", "torn", "another"],
)
def test_without_its_key_the_box_starts_in_safe_mode(
    settings: Settings, tmp_path: Path, spoil: object, said: str
) -> None:
    """Nothing in the home is taken for damaged and set aside, and with the key it all goes on."""
    make(settings)
    before = (settings.home / "scanside.db").read_bytes()
    key = (settings.home / BESIDE).read_bytes()
    spoil(settings.home / BESIDE)  # type: ignore[operator]
    config = tmp_path / "box.toml"
    config.write_text(f'home = "{settings.home}"\n[dicom]\nport = 0\n[page]\nport = 0\n')
    plan = make_plan(config, 0.0)
    assert plan.mode == "safe"
    (problem,) = plan.refused
    assert problem.key == "at_rest.key_file"
    assert said in problem.reason
    assert key.decode().strip() not in str(problem)
    assert (settings.home / "scanside.db").read_bytes() == before
    assert not (settings.home / "quarantine").exists()
    write_durably(settings.home / BESIDE, key)
    assert make_plan(config, 0.0).mode == "file"


def test_a_site_key_that_was_brought_is_sealed(settings: Settings) -> None:
    """That of the other box of two lies open only until it is read first."""
    make(settings)
    path = settings.home / "site.key"
    write_durably(path, b"k" * 32)
    assert site_key_of(settings) == b"k" * 32
    assert b"kkkk" not in path.read_bytes()
    assert site_key_of(settings) == b"k" * 32
