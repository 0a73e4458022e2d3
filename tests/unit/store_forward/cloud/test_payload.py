"""What boxes send is unpacked within limits, and never by the names in it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from models.errors import CannotTriage
from models.reasons import Reason
from store_forward.cloud.payload import PayloadLimits, instances

LIMITS = PayloadLimits(max_instances=3, max_unpacked_bytes=1000)


def packed(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """A zip archive with these entries."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def contents(archive: Path, folder: Path) -> list[bytes]:
    """What comes out, in order."""
    folder.mkdir()
    return [path.read_bytes() for path in instances(archive, folder, LIMITS)]


def test_every_entry_comes_out_in_order(tmp_path: Path) -> None:
    """Whatever its name says, it lies in our folder under our name, and nothing stays behind."""
    archive = packed(tmp_path / "zip", {"/etc/passwd": b"1", "../../up": b"2", "folder/": b""})
    assert contents(archive, tmp_path / "out") == [b"1", b"2"]
    assert list((tmp_path / "out").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "zip"]


@pytest.mark.parametrize(
    ("entries", "method", "reason"),
    [
        ({str(number): b"" for number in range(4)}, zipfile.ZIP_STORED, Reason.too_large),
        ({"a": bytes(600), "b": bytes(401)}, zipfile.ZIP_STORED, Reason.too_large),
        ({"bomb": bytes(10_000_000)}, zipfile.ZIP_DEFLATED, Reason.too_large),
        ({"a": b"1"}, zipfile.ZIP_LZMA, Reason.not_dicom),
    ],
)
def test_over_a_limit_is_a_reason(tmp_path: Path, entries: dict[str, bytes], method: int, reason: Reason) -> None:
    """Too many, too much together, a bomb, or packed in a way nobody needs."""
    archive = packed(tmp_path / "zip", entries, method)
    with pytest.raises(CannotTriage) as told:
        contents(archive, tmp_path / "out")
    assert told.value.reason is reason
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_zip_is_a_reason(tmp_path: Path) -> None:
    """Noise, nothing, and an archive whose bytes were damaged before they were digested."""
    whole = packed(tmp_path / "zip", {"a": bytes(500)}).read_bytes()
    damaged = whole[:200] + b"\xff" + whole[201:]
    for number, data in enumerate([b"", b"not a zip", whole[:300], damaged]):
        (tmp_path / "zip").write_bytes(data)
        with pytest.raises(CannotTriage) as told:
            contents(tmp_path / "zip", tmp_path / f"out{number}")
        assert told.value.reason is Reason.not_dicom
