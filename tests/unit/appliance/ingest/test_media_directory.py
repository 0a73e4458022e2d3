"""What a DICOMDIR names is found where it lies, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from appliance.ingest import media_directory
from appliance.ingest.media_directory import DirectoryUnusable, directory_in, read_directory
from tests.dicom_factory import as_file, uid
from tests.media import edit_directory, write_medium
from tests.small_box import image


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """A medium with two images of one study."""
    folder = tmp_path / "cd"
    write_medium(folder, image(), image(seed="1", StudyInstanceUID=uid("study 0")))
    return folder


def test_every_file_is_named_with_its_uids(medium: Path) -> None:
    """In the order of the directory."""
    first, second = read_directory(medium / "DICOMDIR")
    assert {first.sop_instance_uid, second.sop_instance_uid} == {uid("instance 0"), uid("instance 1")}
    assert first.sop_class_uid == image().SOPClassUID
    assert first.path == medium.joinpath(*first.file_id.split("/"))
    assert first.path.is_file()


def test_media_are_written_in_any_case(medium: Path, tmp_path: Path) -> None:
    """Lower-case names, and ISO 9660's version behind them, as some systems show them."""
    lower = tmp_path / "mounted"
    for path in medium.rglob("*"):
        if path.is_file():
            target = lower / Path(*(part.lower() for part in path.relative_to(medium).parts))
            target = target.with_name(target.name + ";1")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    found = read_directory(directory_in(lower))
    assert len(found) == 2
    assert all(one.path is not None and one.path.is_file() for one in found)


def test_what_the_medium_lacks_is_missing(medium: Path) -> None:
    """It keeps its name and its UID; the others are found all the same."""
    first, _ = read_directory(medium / "DICOMDIR")
    assert first.path is not None
    first.path.unlink()
    lost, found = read_directory(medium / "DICOMDIR")
    assert (lost.sop_instance_uid, lost.path, lost.allowed) == (first.sop_instance_uid, None, True)
    assert found.path is not None


@pytest.mark.parametrize(
    "file_id",
    [["..", "secret"], ["..", "..", "secret"], ["/secret"], ["A/../..", "secret"], ["", "secret"], [".", "secret"]],
    ids=str,
)
def test_no_file_id_leads_out_of_the_medium(medium: Path, tmp_path: Path, file_id: list[str]) -> None:
    """A path trick is refused although the file it means exists."""
    as_file(image(), tmp_path / "secret")

    def change(record: Dataset) -> None:
        record.ReferencedFileID = file_id

    edit_directory(medium, change)
    assert {(one.path, one.allowed) for one in read_directory(medium / "DICOMDIR")} == {(None, False)}


def test_no_link_leads_out_of_the_medium(medium: Path, tmp_path: Path) -> None:
    """A memory stick may carry symbolic links."""
    first, _ = read_directory(medium / "DICOMDIR")
    assert first.path is not None
    first.path.unlink()
    first.path.symlink_to(as_file(image(), tmp_path / "secret"))
    assert (read_directory(medium / "DICOMDIR")[0].path, read_directory(medium / "DICOMDIR")[0].allowed) == (
        None,
        False,
    )


def test_records_that_are_not_in_use_are_ignored(medium: Path) -> None:
    """PS3.3 F.3.2.2."""

    def change(record: Dataset) -> None:
        record.RecordInUseFlag = 0 if record.ReferencedSOPInstanceUIDInFile == uid("instance 0") else 0xFFFF

    edit_directory(medium, change)
    assert [one.sop_instance_uid for one in read_directory(medium / "DICOMDIR")] == [uid("instance 1")]


def test_a_file_id_is_shown_without_control_characters(medium: Path) -> None:
    """It goes to a terminal."""

    def change(record: Dataset) -> None:
        record.ReferencedFileID = "\x1b[2JIMAGE"

    edit_directory(medium, change)
    assert {one.file_id for one in read_directory(medium / "DICOMDIR")} == {"?[2JIMAGE"}


def test_what_is_no_directory(medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image, torn bytes, no file at all, a folder without one, one that is too large: each with what to do."""
    with pytest.raises(DirectoryUnusable, match="no Directory Record Sequence"):
        read_directory(as_file(image(), tmp_path / "image.dcm"))
    with pytest.raises(DirectoryUnusable, match="name the folder that holds it"):
        directory_in(tmp_path)
    with pytest.raises(DirectoryUnusable, match="name the folder that holds it"):
        directory_in(tmp_path / "nowhere")
    (tmp_path / "torn").write_bytes((medium / "DICOMDIR").read_bytes()[:20])
    with pytest.raises(DirectoryUnusable, match="cannot be read"):
        read_directory(tmp_path / "torn")
    monkeypatch.setattr(media_directory, "MOST_BYTES", 100)
    with pytest.raises(DirectoryUnusable, match="more than 100 bytes"):
        read_directory(medium / "DICOMDIR")


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_torn_directory_ends_with_words(medium: Path, cut: float) -> None:
    """Either it names what it still can, or it is said to be unusable; nothing else is raised."""
    path = medium / "DICOMDIR"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    found: list[Any] = []
    try:
        found = read_directory(path)
    except DirectoryUnusable as unusable:
        assert "cannot be read" in str(unusable) or "no Directory Record" in str(unusable)
    assert len(found) <= 2


def test_a_deflated_bomb_is_refused(medium: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit counts after inflating, before the bytes are made."""
    path = medium / "DICOMDIR"
    directory = dcmread(path)
    directory.add_new(0x00420011, "OB", b"\0" * 2_000_000)
    directory.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    directory.save_as(path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(media_directory, "MOST_BYTES", 1_000_000)
    with pytest.raises(DirectoryUnusable, match="cannot be read"):
        read_directory(path)
