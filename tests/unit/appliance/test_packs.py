"""Which pack a person means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import packs
from appliance.errors import ConfigurationInvalid
from appliance.pack_store import activate, install
from appliance.packs import choose, find_pack, installed_folder_of, installed_of, registry_of
from appliance.settings import Settings
from models.errors import PackRejected
from tests.pack_archives import archive
from tests.tiny_pack import write_tiny_pack

Install = Callable[..., str]


@pytest.fixture
def settings(tmp_path: Path, tiny_packs: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home without any installed pack, over the tiny pack of version 1.0.0."""
    monkeypatch.setattr(packs, "SHIPPED", tiny_packs)
    return Settings.model_validate({"home": tmp_path / "box", "limits": {"free_disk_floor_bytes": 0}})


@pytest.fixture
def put(tmp_path: Path, settings: Settings) -> Install:
    """Installs a version of the tiny pack and gives its digest."""

    def put_one(version: str, licence: str = "MIT") -> str:
        path = archive(tmp_path / f"{version}{licence}.scanpack", version, licence=licence)
        return install(path, settings).pack.digest

    return put_one


def meant(reference: str, settings: Settings) -> str:
    """The version that a reference means."""
    return choose(reference, registry_of(settings), installed_of(settings)).manifest.version


def test_by_version_digest_and_name(settings: Settings, put: Install) -> None:
    """The name alone is the highest version installed, compared by numbers."""
    put("9.0.0")
    digest = put("2.0.0")
    put("10.0.0-rc.1")
    assert meant("tiny@2.0.0", settings) == meant(f"tiny@{digest[:8]}", settings) == "2.0.0"
    assert meant("tiny", settings) == "10.0.0-rc.1"
    put("10.0.0")
    assert meant("tiny", settings) == "10.0.0"
    assert meant("tiny@default", settings) == meant("tiny@1.0.0", settings) == "1.0.0"


def test_what_is_not_there_names_what_is(settings: Settings, put: Install) -> None:
    """Or how to get there, when nothing is."""
    with pytest.raises(PackRejected, match=r"no such pack is installed\. Install it first"):
        meant("tiny", settings)
    digest = put("2.0.0")
    with pytest.raises(PackRejected, match=rf"There are tiny@{digest[:12]} \(2\.0\.0\)"):
        meant("tiny@3.0.0", settings)
    with pytest.raises(PackRejected, match="Install it first"):
        meant("another@3.0.0", settings)
    with pytest.raises(PackRejected, match="no such pack"):
        meant(f"tiny@{digest[:5]}", settings)


def test_two_builds_of_one_version_are_not_guessed_between(settings: Settings, put: Install) -> None:
    """Both digests are named."""
    one, two = put("2.0.0"), put("2.0.0", "BSD")
    with pytest.raises(PackRejected, match="more than one pack") as caught:
        meant("tiny@2.0.0", settings)
    assert one[:12] in caught.value.repair
    assert two[:12] in caught.value.repair
    assert meant(f"tiny@{two[:12]}", settings) == "2.0.0"


def test_a_damaged_one_is_not_passed_over(settings: Settings, put: Install) -> None:
    """The highest version may be the damaged one: its refusal is what is said, until a sound one is named."""
    put("2.0.0")
    put("3.0.0")
    (broken,) = installed_folder_of(settings).glob("tiny/3.0.0+*")
    (broken / "golden.npz").write_bytes(b"")
    for reference in ("tiny", "tiny@3.0.0"):
        with pytest.raises(PackRejected, match=r"golden\.npz cannot be read .the sealed file is damaged"):
            meant(reference, settings)
    assert meant("tiny@2.0.0", settings) == "2.0.0"


def test_a_pack_for_a_command(settings: Settings, put: Install, tmp_path: Path) -> None:
    """By folder, the one in use by its name, any other by version; else what there is."""
    put("2.0.0")
    assert find_pack("tiny", settings).manifest.version == "1.0.0"
    activate("tiny", settings)
    assert find_pack("tiny", settings).manifest.version == "2.0.0"
    assert find_pack("tiny@1.0.0", settings).manifest.version == "1.0.0"
    assert find_pack(str(write_tiny_pack(tmp_path / "own", version="7.0.0")), settings).manifest.version == "7.0.0"
    with pytest.raises(ConfigurationInvalid, match="there is no pack 'large'; there are tiny"):
        find_pack("large", settings)
    (tmp_path / "own" / "network.onnx").unlink()
    with pytest.raises(ConfigurationInvalid, match=r"network\.onnx is missing"):
        find_pack(str(tmp_path / "own"), settings)
