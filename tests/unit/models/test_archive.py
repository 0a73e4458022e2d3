"""A pack as one file: the same bytes each time, and nothing but plain files out of it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.archive import archive_name, unpack_archive, write_archive
from models.errors import PackRejected
from models.pack import load_pack
from tests.pack_archives import WRONG, archive
from tests.tiny_pack import write_tiny_pack

MOST_BYTES = 10_000_000


def test_out_and_in_again(tmp_path: Path) -> None:
    """The unpacked pack is the one that was packed, and its archive is called after it."""
    pack = load_pack(write_tiny_pack(tmp_path / "pack", version="1.2.0"))
    path, folder = tmp_path / archive_name(pack), tmp_path / "out"
    with path.open("wb") as stream:
        write_archive(pack, stream)
    folder.mkdir()
    files = unpack_archive(path, folder, MOST_BYTES)
    assert path.name == "tiny-1.2.0.scanpack"
    assert {file.name for file in files} == {"golden.npz", "manifest.json", "network.onnx"}
    assert load_pack(folder).digest == pack.digest


def test_the_same_pack_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whenever and wherever it is packed: its digest can be published."""
    packed = []
    for name in ("one", "two"):
        stream = io.BytesIO()
        write_archive(load_pack(write_tiny_pack(tmp_path / name)), stream)
        packed.append(stream.getvalue())
    assert packed[0] == packed[1]


@pytest.mark.parametrize(("damage", "said"), WRONG, ids=[one[0].__name__ for one in WRONG])
def test_a_wrong_archive_is_refused(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    """By itself or by the pack's own verification, and nothing is written outside of the folder."""
    path, folder = archive(tmp_path / "handed-over.scanpack"), tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    damage(path)
    with pytest.raises(PackRejected, match=said):
        unpack_archive(path, folder, MOST_BYTES)
        load_pack(folder)
    assert [one for one in folder.parent.iterdir() if one != folder] == []
    assert not (tmp_path / "outside").exists()
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MOST_BYTES


def test_stored_entries_and_the_limit_itself_are_taken(tmp_path: Path) -> None:
    """Exactly as many bytes as are allowed are not too many."""
    path, folder = tmp_path / "plain.zip", tmp_path / "out"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("one", b"12345")
        packed.writestr("two", b"12345")
    folder.mkdir()
    assert len(unpack_archive(path, folder, 10)) == 2
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(PackRejected, match="more than 9 bytes"):
        unpack_archive(path, folder, 9)
