"""A file that the disk does not give: every read of it ends with EIO, as on a bad sector."""

from __future__ import annotations

from pathlib import Path

_NO_PAGE = Path("/proc/self/mem")  # nothing is mapped at address 0, which reading says with EIO (proc(5))


def goes_bad(path: Path) -> Path:
    """From here on the file can be opened and not read. Returns where its content is kept for :func:`mended`."""
    kept = path.parent.parent / f"kept {path.name}"
    path.rename(kept)
    path.symlink_to(_NO_PAGE)
    return kept


def mended(path: Path, kept: Path) -> None:
    """The file can be read again."""
    kept.replace(path)
