"""Archives of packs as somebody might hand them over: whole, or wrong in one way."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tiny_pack import change_manifest, write_tiny_pack


def archive(path: Path, version: str = "1.0.0", name: str = "tiny", **changes: Any) -> Path:
    """An archive at ``path`` of a tiny pack with these changes to its manifest; its folder lies beside it."""
    return zipped(write_tiny_pack(path.with_suffix(""), name=name, version=version, **changes), path)


def zipped(folder: Path, path: Path) -> Path:
    """Every file of a folder in one zip, whatever the manifest says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, file.name)
    return path


def _with_entry(path: Path, entry: zipfile.ZipInfo, content: bytes = b"?") -> None:
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(entry, content)


def _changed(path: Path, change: Callable[[Path], object]) -> None:
    folder = path.with_suffix("")
    change(folder)
    zipped(folder, path)


def _flip(folder: Path) -> None:
    content = bytearray((folder / "network.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "network.onnx").write_bytes(content)


def altered_byte(path: Path) -> None:
    """One bit of the network is another."""
    _changed(path, _flip)


def missing_file(path: Path) -> None:
    """The golden set was left out."""
    _changed(path, lambda folder: (folder / "golden.npz").unlink())


def missing_manifest(path: Path) -> None:
    """There is no manifest."""
    _changed(path, lambda folder: (folder / "manifest.json").unlink())


def extra_file(path: Path) -> None:
    """A file rides along that the manifest does not name."""
    _changed(path, lambda folder: (folder / "extra.bin").write_bytes(b"?"))


def wrong_schema(path: Path) -> None:
    """The manifest is of a schema version nobody here knows."""
    _changed(path, lambda folder: change_manifest(folder, schema_version=99))


def zip_slip(path: Path) -> None:
    """An entry whose name leads out of the folder."""
    _with_entry(path, zipfile.ZipInfo("../outside"))


def absolute_name(path: Path) -> None:
    """An entry whose name begins at the root."""
    _with_entry(path, zipfile.ZipInfo("/outside"))


def folder_entry(path: Path) -> None:
    """A folder."""
    _with_entry(path, zipfile.ZipInfo("inside/"), b"")


def hidden_name(path: Path) -> None:
    """A name cut short by a null byte, which readers see as another."""
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("extra_outside", b"?")
    path.write_bytes(path.read_bytes().replace(b"extra_outside", b"extra\0outside"))


def link(path: Path) -> None:
    """A symbolic link."""
    entry = zipfile.ZipInfo("extra")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    _with_entry(path, entry, b"/etc/hostname")


def device(path: Path) -> None:
    """A device file."""
    entry = zipfile.ZipInfo("extra")
    entry.external_attr = (stat.S_IFCHR | 0o666) << 16
    _with_entry(path, entry, b"")


def same_name_twice(path: Path) -> None:
    """Two files of one name."""
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("network.onn_", b"?")
    path.write_bytes(path.read_bytes().replace(b"network.onn_", b"network.onnx"))


def other_method(path: Path) -> None:
    """Packed by a method that is not taken."""
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("extra", b"?" * 100, zipfile.ZIP_LZMA)


def bomb(path: Path) -> None:
    """Little to carry, and far more to unpack than is allowed."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("extra", b"\0" * 50_000_000)


def many_entries(path: Path) -> None:
    """More entries than a pack ever has."""
    with zipfile.ZipFile(path, "a") as packed:
        for number in range(100):
            packed.writestr(f"extra{number}", b"")


def lies_about_its_entries(path: Path) -> None:
    """More entries than its last record says."""
    many_entries(path)
    content = bytearray(path.read_bytes())
    content[-14:-10] = (3).to_bytes(2, "little") * 2
    path.write_bytes(content)


def wide_directory(path: Path) -> None:
    """A list of entries as large as the zip64 format allows."""
    content = path.read_bytes()
    locator = b"PK\6\7" + bytes(16)
    path.write_bytes(content[:-22] + locator + content[-22:])


def truncated(path: Path) -> None:
    """The end was lost on the way."""
    path.write_bytes(path.read_bytes()[:-100])


def damaged_middle(path: Path) -> None:
    """Some bytes were lost inside of an entry."""
    content = bytearray(path.read_bytes())
    content[80:120] = bytes(40)
    path.write_bytes(content)


def no_zip(path: Path) -> None:
    """Something else altogether."""
    path.write_bytes(b"no zip at all, but some bytes that are longer than the last record of one" * 3)


def empty(path: Path) -> None:
    """Nothing."""
    path.write_bytes(b"")


def nothing_there(path: Path) -> None:
    """A name without a file."""
    path.unlink()


#: Each way an archive can be wrong, and what the person who installs it reads.
WRONG: list[tuple[Callable[[Path], None], str]] = [
    (altered_byte, r"network\.onnx is not the file the manifest names \(SHA-256\)\. Copy the whole pack again"),
    (missing_file, r"golden\.npz is missing\. Copy the whole pack again"),
    (missing_manifest, r"manifest\.json cannot be read .*\. Copy the whole pack again"),
    (extra_file, r"extra\.bin is not in the manifest\. Remove what does not belong"),
    (wrong_schema, r"schema version 99, this version reads 2\. Install a pack that was made for this version"),
    (zip_slip, r"'\.\./outside', which is no plain file name\. Make the archive again"),
    (absolute_name, r"'/outside', which is no plain file name"),
    (folder_entry, r"'inside/', which is no plain file name"),
    (hidden_name, r"'extra', which is no plain file name|is damaged"),
    (link, r"extra, which is a link or no file"),
    (device, r"extra, which is a link or no file"),
    (same_name_twice, r"network\.onnx twice"),
    (other_method, r"extra packed in a way that is not taken"),
    (bomb, r"unpacks to more than 10000000 bytes\. Raise limits\.max_pack_bytes"),
    (many_entries, r"more than 64 entries"),
    (lies_about_its_entries, r"more than 64 entries|is damaged"),
    (wide_directory, r"more than 64 entries"),
    (truncated, r"is cut off or is no zip\. Copy the archive again"),
    (damaged_middle, r"is damaged\. Copy the archive again"),
    (no_zip, r"is cut off or is no zip"),
    (empty, r"is cut off or is no zip"),
    (nothing_there, r"cannot be read \(No such file or directory\)\. Name an archive that is there"),
]
