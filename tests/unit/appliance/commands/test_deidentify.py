"""``scanside deidentify``: the very copies that would leave the box, or a refusal."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread

from tests.dicom_factory import as_file, uid
from tests.small_box import image
from tests.unit.appliance.commands.conftest import Scanside


def test_a_file(scanside: Scanside, tmp_path: Path) -> None:
    """The copy names nobody, and every element's fate is listed."""
    source, target = as_file(image(), tmp_path / "a.dcm"), tmp_path / "out.dcm"
    ended = scanside("deidentify", source, target, "--json")
    assert ended.status == 0
    copy = dcmread(target)
    assert copy.PatientIdentityRemoved == "YES"
    assert copy.SOPInstanceUID != uid("instance 0")
    assert b"Phantom" not in target.read_bytes()
    (row,) = ended.rows
    assert row["path"] == str(source)
    assert len(row["elements"]) > 20


def test_the_same_key_gives_the_same_copy(scanside: Scanside, tmp_path: Path) -> None:
    """The site key is made at first use and kept."""
    source = as_file(image(), tmp_path / "a.dcm")
    for name in ("b.dcm", "c.dcm"):
        scanside("deidentify", source, tmp_path / name)
    assert (tmp_path / "b.dcm").read_bytes() == (tmp_path / "c.dcm").read_bytes()
    assert (tmp_path / "box" / "site.key").stat().st_mode & 0o077 == 0


def test_a_folder_becomes_numbers(scanside: Scanside, tmp_path: Path) -> None:
    """Names of files often carry the patient's; the copies do not."""
    as_file(image(), tmp_path / "in" / "Phantom_Anna" / "1.dcm")
    as_file(image(seed="1"), tmp_path / "in" / "Phantom_Berta.dcm")
    assert scanside("deidentify", tmp_path / "in", tmp_path / "out").status == 0
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*"))
    assert written == ["0000.dcm", "0001.dcm"]


def test_what_cannot_be_made_safe_is_refused(scanside: Scanside, tmp_path: Path) -> None:
    """Exit status 1; no copy of the refused, the others are written."""
    as_file(image(), tmp_path / "in" / "a.dcm")
    as_file(image(seed="1", BurnedInAnnotation="YES"), tmp_path / "in" / "b.dcm")
    (tmp_path / "in" / "c.txt").write_text("a letter")
    ended = scanside("deidentify", tmp_path / "in", tmp_path / "out", "--json")
    assert ended.status == 1
    refused = {Path(row["path"]).name: row["refused"] for row in ended.rows if "refused" in row}
    assert set(refused) == {"b.dcm", "c.txt"}
    assert refused["c.txt"] == "not_dicom"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0000.dcm"]
    assert "REFUSED" in scanside("deidentify", tmp_path / "in", tmp_path / "out").out


def test_the_fate_of_every_element_can_be_read(scanside: Scanside, tmp_path: Path) -> None:
    """A line for each with what Annex E says of it; no value."""
    source = as_file(image(), tmp_path / "a.dcm")
    lines = scanside("deidentify", source, tmp_path / "b.dcm", "--table").out.splitlines()
    assert "  replaced  Z      (0010,0010) PatientName" in lines
    assert "  emptied   Z      (0010,0030) PatientBirthDate" in lines
    assert "Phantom" not in "".join(lines)


def test_the_configuration_chooses_the_profile(scanside: Scanside, config: Path, tmp_path: Path) -> None:
    """The same settings as for the cloud."""
    source = as_file(image(), tmp_path / "a.dcm")
    with config.open("a") as file:
        file.write('[deidentification]\nprofile = "basic"\noptions = ["retain_modified_dates"]\n')
    assert scanside("deidentify", source, tmp_path / "b.dcm").status == 0
    copy = dcmread(tmp_path / "b.dcm")
    assert copy.LongitudinalTemporalInformationModified == "MODIFIED"
    assert copy.StudyDate and copy.StudyDate != "20260314"


def test_a_missing_source(scanside: Scanside, tmp_path: Path) -> None:
    """Said, with exit status 1."""
    ended = scanside("deidentify", tmp_path / "none", tmp_path / "out")
    assert ended.status == 1
    assert "none: no such file or folder" in ended.err
