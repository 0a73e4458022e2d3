"""Files are there whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from store_forward.durable import make_folder, open_new, publish, write_durably


def test_publish_replaces_whole(tmp_path: Path) -> None:
    """What stood there before is gone, and so is the temporary name."""
    final, temporary = tmp_path / "final", tmp_path / "temporary"
    final.write_bytes(b"before")
    temporary.write_bytes(b"after")
    publish(temporary, final)
    assert final.read_bytes() == b"after"
    assert not temporary.exists()


def test_publish_of_nothing_leaves_what_was(tmp_path: Path) -> None:
    """A failure before the rename touches nothing."""
    final = tmp_path / "final"
    final.write_bytes(b"before")
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "missing", final)
    assert final.read_bytes() == b"before"


def test_a_failed_write_leaves_no_litter(tmp_path: Path) -> None:
    """The target is a folder: the rename fails, and the temporary file is removed."""
    (tmp_path / "final" / "occupied").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_durably(tmp_path / "final", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_files_and_folders_are_ours_alone(tmp_path: Path) -> None:
    """Images are somebody's: nobody else on the machine reads them."""
    folder = tmp_path / "a" / "b"
    make_folder(folder)
    write_durably(folder / "file", b"data")
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600


def test_make_folder_twice(tmp_path: Path) -> None:
    """A folder that is there is fine."""
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


def test_open_new_never_overwrites(tmp_path: Path) -> None:
    """Two writers cannot get the same file."""
    open_new(tmp_path / "file").close()
    with pytest.raises(FileExistsError):
        open_new(tmp_path / "file")
