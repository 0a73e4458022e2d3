"""Installing, activating and going back: whatever is refused, the pack in use stays."""

from __future__ import annotations

import hashlib
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from appliance import packs
from appliance.pack_store import activate, export, install, rollback
from appliance.packs import installed_folder_of, registry_of
from appliance.settings import Settings
from models.activations import ACTIVE
from models.errors import PackRejected
from tests.pack_archives import WRONG, archive


@pytest.fixture(params=[True, False], ids=["sealed", "open"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, tiny_packs: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A home without any installed pack, over the tiny pack of version 1.0.0."""
    monkeypatch.setattr(packs, "SHIPPED", tiny_packs)
    limits = {"free_disk_floor_bytes": 0, "max_pack_bytes": 10_000_000}
    at_rest = {"encrypt": request.param}
    return Settings.model_validate({"home": tmp_path / "box", "limits": limits, "at_rest": at_rest})


def in_use(settings: Settings) -> dict[str, str]:
    """Name and version of every box pack in use."""
    return {pack.manifest.name: pack.manifest.version for pack in registry_of(settings).packs("box")}


def lying(settings: Settings) -> list[str]:
    """Everything in the folder of installed packs but the lock."""
    root = installed_folder_of(settings)
    return sorted(str(one.relative_to(root)) for one in root.glob("*/*")) if root.exists() else []


def test_a_pack_is_installed_and_not_yet_used(settings: Settings, tmp_path: Path) -> None:
    """It lies under its version and digest; the second time nothing happens."""
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    first, second = install(path, settings), install(path, settings)
    assert (first.new, second.new) == (True, False)
    assert lying(settings) == [f"tiny/2.0.0+{first.pack.digest[:12]}"]
    assert second.pack.digest == first.pack.digest
    assert in_use(settings) == {"tiny": "1.0.0"}


def test_what_lies_in_a_sealed_home_is_sealed(settings: Settings, tmp_path: Path) -> None:
    """Its files and which is in use; taken out again it is what it was."""
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    install(path, settings)
    pack = activate("tiny", settings).pack
    there = [one for one in installed_folder_of(settings).rglob("*") if one.is_file() and one.name != ".lock"]
    assert len(there) == len(pack.manifest.files) + 2
    plain = {hashlib.sha256(one.read_bytes()).hexdigest() for one in there} & set(pack.manifest.files.values())
    known = [one for one in there if b"tiny" in one.read_bytes()]
    if settings.at_rest.encrypt:
        assert not plain
        assert not known
    else:
        assert plain == set(pack.manifest.files.values())
        assert known
    with ZipFile(export("tiny", tmp_path / "out.scanpack", settings)) as out, ZipFile(path) as given:
        assert {one: out.read(one) for one in out.namelist()} == {one: given.read(one) for one in given.namelist()}
    assert in_use(settings) == {"tiny": "2.0.0"}


def test_a_damaged_one_is_repaired_by_installing_again(settings: Settings, tmp_path: Path) -> None:
    """That is what its refusal tells a person to do."""
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    pack = install(path, settings).pack
    activate("tiny", settings)
    pack.network.write_bytes(b"?")
    assert in_use(settings) == {"tiny": "1.0.0"}
    assert install(path, settings).new
    assert in_use(settings) == {"tiny": "2.0.0"}
    assert len(lying(settings)) == 1


@pytest.mark.parametrize(("damage", "said"), WRONG, ids=[one[0].__name__ for one in WRONG])
def test_a_wrong_archive_changes_nothing(
    settings: Settings, tmp_path: Path, damage: Callable[[Path], None], said: str
) -> None:
    """The reason names the archive; nothing of it stays and the active pack still reads."""
    good = archive(tmp_path / "good.scanpack", "2.0.0")
    install(good, settings)
    activate("tiny", settings)
    before = lying(settings)
    bad = archive(tmp_path / "bad.scanpack", "3.0.0")
    damage(bad)
    with pytest.raises(PackRejected, match=said) as caught:
        install(bad, settings)
    assert caught.value.pack == "bad.scanpack"
    assert lying(settings) == before
    assert in_use(settings) == {"tiny": "2.0.0"}


def test_a_full_disk_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    """No pack goes below the floor of free disk."""
    floor = {"limits": {"free_disk_floor_bytes": 1 << 60}, "home": settings.home}
    with pytest.raises(PackRejected, match=r"full down to limits\.free_disk_floor_bytes"):
        install(archive(tmp_path / "two.scanpack", "2.0.0"), Settings.model_validate(floor))
    assert lying(settings) == []


def test_a_home_that_cannot_be_written(settings: Settings, tmp_path: Path) -> None:
    """The operating system's reason, and what to do."""
    settings.home.write_bytes(b"a file where the folder should be")
    with pytest.raises(PackRejected, match="it cannot be kept"):
        install(archive(tmp_path / "two.scanpack", "2.0.0"), settings)


def test_activation_and_back(settings: Settings, tmp_path: Path) -> None:
    """2.0.0, then 3.0.0, then back twice to the one that came with the product; no further."""
    for version in ("2.0.0", "3.0.0"):
        install(archive(tmp_path / f"{version}.scanpack", version), settings)
        done = activate("tiny", settings)
        assert in_use(settings) == {"tiny": version}
        assert done.opened.runner.device
    assert done.before is not None
    assert done.before.manifest.version == "2.0.0"
    assert activate("tiny", settings).before == done.pack  # again: it stays, and the history does not grow
    assert rollback("tiny", settings).pack.manifest.version == "2.0.0"
    assert rollback("tiny", settings).pack.manifest.version == "1.0.0"
    assert in_use(settings) == {"tiny": "1.0.0"}
    with pytest.raises(PackRejected, match=r"nothing was in use before\. Activate the one you want"):
        rollback("tiny", settings)


def test_the_default_can_be_activated(settings: Settings, tmp_path: Path) -> None:
    """Then what the product ships reads, also after the next update of the product."""
    install(archive(tmp_path / "two.scanpack", "2.0.0"), settings)
    activate("tiny", settings)
    activate("tiny@default", settings)
    assert in_use(settings) == {"tiny": "1.0.0"}
    assert rollback("tiny", settings).pack.manifest.version == "2.0.0"


def test_a_first_pack_of_its_name_cannot_be_rolled_back_to_nothing(settings: Settings, tmp_path: Path) -> None:
    """Nothing of that name came with the product: the box would be left without."""
    install(archive(tmp_path / "new.scanpack", name="new"), settings)
    assert activate("new", settings).before is None
    with pytest.raises(PackRejected, match="nothing was in use before"):
        rollback("new", settings)
    assert in_use(settings) == {"new": "1.0.0", "tiny": "1.0.0"}


def test_a_golden_set_that_disagrees(settings: Settings, tmp_path: Path) -> None:
    """Files are whole, answers are not: installed, never used, and each device's difference is said."""
    install(archive(tmp_path / "wrong.scanpack", "2.0.0", temperature=9.0), settings)
    with pytest.raises(PackRejected, match=r"tiny 2\.0\.0: .*differs from the golden set by .*Install one"):
        activate("tiny", settings)
    assert in_use(settings) == {"tiny": "1.0.0"}
    assert not (installed_folder_of(settings) / ACTIVE).exists()


def test_a_pack_damaged_since_it_was_installed(settings: Settings, tmp_path: Path) -> None:
    """It is verified again before it is used."""
    pack = install(archive(tmp_path / "two.scanpack", "2.0.0"), settings).pack
    pack.golden.write_bytes(b"?")
    with pytest.raises(PackRejected, match=r"golden\.npz is not the file the manifest names"):
        activate("tiny", settings)
    assert in_use(settings) == {"tiny": "1.0.0"}


def test_back_to_a_damaged_one_is_refused(settings: Settings, tmp_path: Path) -> None:
    """The one in use stays, which is better than the one before."""
    for version in ("2.0.0", "3.0.0"):
        pack = install(archive(tmp_path / f"{version}.scanpack", version), settings).pack
        activate("tiny", settings)
    second = next(installed_folder_of(settings).glob("tiny/2.0.0+*"))
    assert second != pack.folder
    (second / "network.onnx").write_bytes(b"?")
    with pytest.raises(PackRejected, match=r"network\.onnx (is not the file|cannot be read .the sealed file)"):
        rollback("tiny", settings)
    assert in_use(settings) == {"tiny": "3.0.0"}


def test_the_role_of_a_name_does_not_change(settings: Settings, tmp_path: Path) -> None:
    """A cloud pack under the name of the box's would leave the box with nothing to read with."""
    install(archive(tmp_path / "cloud.scanpack", "2.0.0", role="cloud"), settings)
    with pytest.raises(PackRejected, match="it is for the cloud, and the one of this name in use is for the box"):
        activate("tiny", settings)
    assert in_use(settings) == {"tiny": "1.0.0"}


def test_a_damaged_record_is_repaired_by_activating_again(settings: Settings, tmp_path: Path) -> None:
    """As its refusal says."""
    install(archive(tmp_path / "two.scanpack", "2.0.0"), settings)
    activate("tiny", settings)
    (installed_folder_of(settings) / ACTIVE).write_text("{")
    assert in_use(settings) == {"tiny": "1.0.0"}
    with pytest.raises(PackRejected, match="Activate them again"):
        rollback("tiny", settings)
    activate("tiny", settings)
    assert in_use(settings) == {"tiny": "2.0.0"}


def test_another_users_home_is_left_alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What root installs there, the box could not read."""
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    settings.home.mkdir()
    monkeypatch.setattr("os.geteuid", lambda: settings.home.stat().st_uid + 1)
    with pytest.raises(PackRejected, match=r"belongs to another user\. Run this as the user that the box runs as"):
        install(path, settings)
    assert list(settings.home.iterdir()) == []


def test_one_command_at_a_time(settings: Settings, tmp_path: Path) -> None:
    """The second is told to wait, and changes nothing."""
    path = archive(tmp_path / "two.scanpack", "2.0.0")
    install(path, settings)
    lock = installed_folder_of(settings) / ".lock"
    holder = subprocess.Popen(["flock", str(lock), "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    holder.stdin.write(b"held\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(PackRejected, match=r"another command changes the packs now\. Wait"):
        activate("tiny", settings)
    holder.communicate()
    activate("tiny", settings)


def test_what_a_killed_command_left_goes_with_the_next(settings: Settings, tmp_path: Path) -> None:
    """Unfinished work does not fill the disk."""
    root = installed_folder_of(settings)
    for name in (".incoming-0", ".damaged-0"):
        (root / name).mkdir(parents=True)
        (root / name / "network.onnx").write_bytes(b"?")
    install(archive(tmp_path / "two.scanpack", "2.0.0"), settings)
    assert [one.name for one in root.iterdir() if one.name != ".lock"] == ["tiny"]


def test_export_and_install_elsewhere(settings: Settings, tmp_path: Path) -> None:
    """A pack goes from one box to another as one file; a file that is there is not overwritten."""
    (tmp_path / "out").mkdir()
    path = export("tiny", tmp_path / "out", settings)
    assert path == tmp_path / "out" / "tiny-1.0.0.scanpack"
    other = settings.model_copy(update={"home": tmp_path / "other"})
    assert install(path, other).pack.digest == registry_of(settings).packs("box")[0].digest
    with pytest.raises(PackRejected, match="cannot be written"):
        export("tiny", path, settings)
    assert install(path, settings).new  # the very pack that is shipped may be installed, too
    assert export("tiny@1.0.0", tmp_path / "own name", settings).read_bytes() == path.read_bytes()


def test_an_export_that_fails_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    """The disk fills up while the archive is written: no half of one is left to be carried to another box."""
    path, limits = tmp_path / "out.scanpack", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(PackRejected, match=r"cannot be written \(File too large\)"):
            export("tiny", path, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not path.exists()


def test_an_installation_that_fails_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    """The same on the way in."""
    archived, limits = archive(tmp_path / "two.scanpack", "2.0.0"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(PackRejected, match=r"it cannot be kept \(File too large\)\. Repair the disk or free it"):
            install(archived, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [one.name for one in installed_folder_of(settings).iterdir()] == [".lock"]
    assert install(archived, settings).new
