"""Which packs there are, and which were refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.activations import ACTIVE, Activations
from models.installed import installed_folder
from models.pack import ModelPack, load_pack
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


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., ModelPack]:
    """Puts versions of the tiny pack into the folder of installed packs."""

    def put(version: str) -> ModelPack:
        pack = load_pack(write_tiny_pack(tmp_path / version, version=version))
        place = installed_folder(tmp_path / "installed", pack)
        shutil.copytree(pack.folder, place)
        return load_pack(place)

    return put


def in_use(tmp_path: Path, *digests: str | None) -> Registry:
    """A registry after these activations, over a shipped pack of version 1.0.0."""
    write_tiny_pack(tmp_path / "shipped" / "tiny")
    activations = Activations()
    for digest in digests:
        activations = activations.activated("tiny", digest)
    (tmp_path / "installed").mkdir(exist_ok=True)
    (tmp_path / "installed" / ACTIVE).write_text(activations.model_dump_json())
    return Registry([tmp_path / "shipped"], tmp_path / "installed")


def versions(registry: Registry) -> list[str]:
    """Of the box packs in use."""
    return [pack.manifest.version for pack in registry.packs("box")]


def damage(pack: ModelPack) -> None:
    """Change one byte of the network."""
    pack.network.write_bytes(pack.network.read_bytes()[:-1] + b"?")


def test_the_activated_pack_reads(tmp_path: Path, installed: Callable[..., ModelPack]) -> None:
    """It takes the place of the shipped one; one that is only installed does not."""
    second = installed("2.0.0")
    assert versions(in_use(tmp_path)) == ["1.0.0"]
    assert versions(in_use(tmp_path, second.digest)) == ["2.0.0"]
    assert versions(in_use(tmp_path, second.digest, None)) == ["1.0.0"]
    assert in_use(tmp_path, second.digest).rejected == []


def test_a_pack_of_a_new_name_can_be_activated(tmp_path: Path) -> None:
    """Nothing of that name came with the product."""
    pack = load_pack(write_tiny_pack(tmp_path / "new", name="new"))
    shutil.copytree(pack.folder, installed_folder(tmp_path / "installed", pack))
    (tmp_path / "installed" / ACTIVE).write_text(Activations().activated("new", pack.digest).model_dump_json())
    assert [one.manifest.name for one in Registry([], tmp_path / "installed").packs("box")] == ["new"]


def test_the_one_before_takes_the_place_of_a_damaged_one(tmp_path: Path, installed: Callable[..., ModelPack]) -> None:
    """Step by step down to the shipped one, and each refusal is kept."""
    second, third = installed("2.0.0"), installed("3.0.0")
    damage(third)
    registry = in_use(tmp_path, second.digest, third.digest)
    assert versions(registry) == ["2.0.0"]
    assert [one.pack for one in registry.rejected] == [f"tiny/{third.folder.name}"]
    shutil.rmtree(second.folder)
    registry = in_use(tmp_path, second.digest, third.digest)
    assert versions(registry) == ["1.0.0"]
    assert len(registry.rejected) == 2


def test_with_nothing_left_the_name_is_empty_and_said(tmp_path: Path, installed: Callable[..., ModelPack]) -> None:
    """No shipped pack and a damaged one: nothing reads, with the reason on record."""
    second = installed("2.0.0")
    damage(second)
    in_use(tmp_path, second.digest)
    registry = Registry([], tmp_path / "installed")
    assert versions(registry) == []
    assert len(registry.rejected) == 1


def test_a_damaged_record_of_activations(tmp_path: Path, installed: Callable[..., ModelPack]) -> None:
    """The shipped pack reads, and the page says what is not known any more."""
    in_use(tmp_path, installed("2.0.0").digest)
    (tmp_path / "installed" / ACTIVE).write_text("{")
    registry = Registry([tmp_path / "shipped"], tmp_path / "installed")
    assert versions(registry) == ["1.0.0"]
    assert "which packs were activated is not known" in registry.rejected[0].why


def test_what_cannot_run_here_gives_way(tmp_path: Path, installed: Callable[..., ModelPack]) -> None:
    """The caller finds out that a pack computes wrongly here; the one before it is next, in the end none."""
    second, third = installed("2.0.0"), installed("3.0.0")
    registry = in_use(tmp_path, second.digest, third.digest)
    tried = [*registry.packs("box")]
    while (following := registry.instead_of(tried[-1])) is not None:
        tried.append(following)
    assert [pack.manifest.version for pack in tried] == ["3.0.0", "2.0.0", "1.0.0"]
    assert versions(registry) == []
