"""The packs in the state home: found by their digest, and never another than the one that was put there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from models.errors import PackRejected
from models.installed import installed_folder, installed_packs, load_installed
from models.pack import ModelPack, load_pack
from tests.tiny_pack import change_manifest, write_tiny_pack


def put(root: Path, scratch: Path, **changes: Any) -> ModelPack:
    """A pack in its place."""
    pack = load_pack(write_tiny_pack(scratch, **changes))
    place = installed_folder(root, pack)
    shutil.copytree(scratch, place)
    return load_pack(place)


def test_a_pack_is_found_by_its_digest(tmp_path: Path) -> None:
    """Two builds of one version have places of their own."""
    first = put(tmp_path / "root", tmp_path / "a")
    second = put(tmp_path / "root", tmp_path / "b", licence="MIT")
    assert load_installed(tmp_path / "root", "tiny", first.digest).folder == first.folder
    assert load_installed(tmp_path / "root", "tiny", second.digest).folder == second.folder
    found = list(installed_packs(tmp_path / "root"))
    assert {one.digest for one in found if isinstance(one, ModelPack)} == {first.digest, second.digest}


def test_one_that_is_gone(tmp_path: Path) -> None:
    """It is said by its digest, with what to do."""
    with pytest.raises(PackRejected, match=r"aaaaaaaaaaaa was activated, but is not there any more\. Install it again"):
        load_installed(tmp_path, "tiny", "a" * 64)
    assert list(installed_packs(tmp_path)) == []


def test_a_whole_pack_in_the_wrong_place(tmp_path: Path) -> None:
    """Manifest and files fit each other, but it is not the pack that was put there."""
    pack = put(tmp_path / "root", tmp_path / "a")
    change_manifest(pack.folder, licence="MIT")
    with pytest.raises(PackRejected, match="its manifest was changed"):
        load_installed(tmp_path / "root", "tiny", pack.digest)
    (found,) = installed_packs(tmp_path / "root")
    assert isinstance(found, PackRejected)
    assert found.pack == f"tiny/{pack.folder.name}"


def test_unfinished_work_is_no_pack(tmp_path: Path) -> None:
    """What an installation that was killed left behind is not looked at."""
    put(tmp_path, tmp_path / ".incoming-0")
    assert len(list(installed_packs(tmp_path))) == 1
