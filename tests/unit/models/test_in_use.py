"""Packs opened on this machine, and what reads when one of them computes wrongly here."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.activations import ACTIVE, Activations
from models.in_use import open_packs
from models.installed import installed_folder
from models.pack import load_pack
from models.registry import Registry
from tests.tiny_pack import write_tiny_pack


def test_every_pack_of_the_role_is_opened(tmp_path: Path) -> None:
    """Those for the cloud stay closed on a box."""
    write_tiny_pack(tmp_path / "tiny")
    write_tiny_pack(tmp_path / "full", role="cloud", name="tiny-full")
    found = open_packs(Registry([tmp_path]), "box", None)
    assert [(pack.manifest.name, opened.runner.pack.digest) for pack, opened in found.opened] == [
        ("tiny", load_pack(tmp_path / "tiny").digest)
    ]
    assert (found.unopened, found.replaced, found.rejected) == ([], [], [])


def test_one_that_computes_wrongly_here_gives_way(tmp_path: Path) -> None:
    """The golden set of the activated pack does not come out: the shipped one reads, and the reason is kept."""
    write_tiny_pack(tmp_path / "shipped" / "tiny")
    wrong = load_pack(write_tiny_pack(tmp_path / "wrong", version="2.0.0", temperature=9.0))
    shutil.copytree(wrong.folder, installed_folder(tmp_path / "installed", wrong))
    (tmp_path / "installed" / ACTIVE).write_text(Activations().activated("tiny", wrong.digest).model_dump_json())
    found = open_packs(Registry([tmp_path / "shipped"], tmp_path / "installed"), "box", None)
    assert [pack.manifest.version for pack, _ in found.opened] == ["1.0.0"]
    ((pack, why),) = found.replaced
    assert pack.manifest.version == "2.0.0"
    assert "differs from the golden set" in why
    assert why.endswith("tiny 1.0.0 reads instead")
    assert found.unopened == []


def test_with_nothing_before_it_nothing_reads(tmp_path: Path) -> None:
    """A pack no device runs right, and no other of its name; one whose golden set is no golden set."""
    write_tiny_pack(tmp_path / "wrong", name="wrong", temperature=9.0)
    found = open_packs(Registry([tmp_path]), "box", None)
    assert found.opened == []
    assert [pack.manifest.name for pack, _ in found.unopened] == ["wrong"]
