"""Which packs there are, and which were refused."""

from __future__ import annotations

from pathlib import Path

from models.registry import Registry
from tests.tiny_pack import write_tiny_pack


def test_roles_are_kept_apart(tmp_path: Path) -> None:
    """The box and the cloud each see their own packs, by name."""
    write_tiny_pack(tmp_path / "b", name="b-pack")
    write_tiny_pack(tmp_path / "a", name="a-pack")
    write_tiny_pack(tmp_path / "a-full", role="cloud", name="a-pack-full")
    registry = Registry([tmp_path])
    assert [pack.manifest.name for pack in registry.packs("box")] == ["a-pack", "b-pack"]
    assert [pack.manifest.name for pack in registry.packs("cloud")] == ["a-pack-full"]
    assert registry.rejected == []


def test_a_broken_pack_does_not_take_the_others_down(tmp_path: Path) -> None:
    """It is listed with its reason, and the sound one stays in use."""
    write_tiny_pack(tmp_path / "good")
    write_tiny_pack(tmp_path / "bad", name="bad", schema_version=7)
    registry = Registry([tmp_path, tmp_path / "not there"])
    assert [pack.manifest.name for pack in registry.packs("box")] == ["tiny"]
    assert [rejection.pack for rejection in registry.rejected] == ["bad"]


def test_the_first_folder_wins_a_name(tmp_path: Path) -> None:
    """The second pack of that name is refused, not silently hidden."""
    first = write_tiny_pack(tmp_path / "own" / "tiny", version="2.0.0")
    write_tiny_pack(tmp_path / "shipped" / "tiny")
    registry = Registry([tmp_path / "own", tmp_path / "shipped"])
    assert [pack.folder for pack in registry.packs("box")] == [first]
    assert "taken" in registry.rejected[0].why
