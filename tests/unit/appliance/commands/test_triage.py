"""``scanside triage``: one line per file, by the contract that scripts rely on."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from appliance.commands.triage import as_row, read_one
from appliance.settings import Settings
from appliance.triage.readers import open_readers
from models.decision import Decision, ImageResult
from models.reasons import Reason
from tests.dicom_factory import as_file, uid
from tests.small_box import image
from tests.tiny_pack import Says, picture
from tests.unit.appliance.commands.conftest import Scanside

AS = "Modality=DX,BodyPartExamined=CHEST,ViewPosition=AP,PatientAge=004Y"


def png(says: Says, path: Path) -> Path:
    """A 16 bit PNG."""
    assert cv2.imwrite(str(path), picture(says, 96, 96, bits=16))
    return path


def test_the_json_line_of_the_contract(scanside: Scanside, tmp_path: Path) -> None:
    """Exactly these keys, with these types, in this order."""
    path = as_file(image("urgent"), tmp_path / "a.dcm")
    ended = scanside("triage", path, "--json")
    assert (ended.status, ended.err) == (0, "")
    (row,) = ended.rows
    keys = ["path", "sop_instance_uid", "pack", "decision", "reason", "findings", "device", "latency_ms"]
    assert list(row) == keys
    assert (row["path"], row["sop_instance_uid"]) == (str(path), uid("instance 0"))
    assert (row["pack"], row["decision"], row["reason"]) == ("tiny 1.0.0", "urgent", None)
    ((name, probability),) = [(f["name"], f["probability"]) for f in row["findings"]]
    assert name == "bright_above"
    assert 0.8 <= probability <= 1.0
    assert row["device"].split(":")[0] in ("openvino", "onnxruntime")
    assert list(row["latency_ms"]) == ["decode", "infer", "total"]
    assert row["latency_ms"]["total"] >= row["latency_ms"]["infer"] > 0


def test_a_folder_is_read_file_by_file(scanside: Scanside, tmp_path: Path) -> None:
    """In the order of names, whatever is in it; what is no image has its reason on its own line."""
    folder = tmp_path / "images"
    as_file(image("routine"), folder / "a.dcm")
    as_file(image(Modality="US"), folder / "b" / "c.dcm")
    (folder / "d.txt").write_text("no image at all" * 20)
    ended = scanside("triage", folder, "--json")
    assert ended.status == 0
    found = [(Path(row["path"]).name, row["decision"], row["reason"]) for row in ended.rows]
    assert found == [
        ("a.dcm", "routine", None),
        ("c.dcm", "not_triaged", "wrong_modality"),
        ("d.txt", "not_triaged", "not_dicom"),
    ]
    assert all(row["findings"] == [] and row["pack"] is None for row in ended.rows[1:])


def test_a_plain_picture_with_a_header(scanside: Scanside, tmp_path: Path) -> None:
    """With --as a PNG is read like a radiograph; without, it is no DICOM."""
    path = png("urgent", tmp_path / "a.png")
    assert scanside("triage", path, "--as", AS, "--json").rows[0]["decision"] == "urgent"
    assert scanside("triage", path, "--as", "Modality=US", "--json").rows[0]["reason"] == "wrong_modality"
    assert scanside("triage", path, "--json").rows[0]["reason"] == "not_dicom"


def test_dicom_keeps_its_own_header(scanside: Scanside, tmp_path: Path) -> None:
    """--as is for pictures: it does not overrule what a DICOM file says."""
    path = as_file(image("urgent"), tmp_path / "a.dcm")
    assert scanside("triage", path, "--as", "Modality=US", "--json").rows[0]["decision"] == "urgent"


def test_a_missing_path_fails_and_the_rest_is_read(scanside: Scanside, tmp_path: Path) -> None:
    """Exit status 1, with the path on standard error."""
    path = as_file(image(), tmp_path / "a.dcm")
    ended = scanside("triage", path, tmp_path / "none.dcm", "--json")
    assert ended.status == 1
    assert f"{tmp_path / 'none.dcm'}: no such file or folder" in ended.err
    assert [row["path"] for row in ended.rows] == [str(path)]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("Modality", "'Modality' is not keyword=value"),
        ("Modallity=DX", "'Modallity' is not the keyword"),
        ("PixelData=1", "'PixelData' is not the keyword"),
    ],
)
def test_a_wrong_header_is_wrong_use(scanside: Scanside, tmp_path: Path, attributes: str, said: str) -> None:
    """Exit status 2, with what is wrong and how it is written."""
    ended = scanside("triage", png("urgent", tmp_path / "a.png"), "--as", attributes, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert "write Keyword=value,Keyword=value" in ended.err


def test_a_value_that_does_not_fit_is_wrong_use(scanside: Scanside, tmp_path: Path) -> None:
    """A number is wanted and words were given."""
    ended = scanside("triage", png("urgent", tmp_path / "a.png"), "--as", "Rows=many", "--json")
    assert ended.status == 2
    assert "'many' does not fit Rows; correct that value" in ended.err


def test_for_a_person(scanside: Scanside, tmp_path: Path) -> None:
    """Decision, finding or reason, path."""
    as_file(image("urgent"), tmp_path / "i" / "a.dcm")
    as_file(image(Modality="US"), tmp_path / "i" / "b.dcm")
    lines = scanside("triage", tmp_path / "i").out.splitlines()
    assert lines[0].split()[:2] == ["urgent", "bright_above"]
    assert lines[1].split()[:2] == ["not_triaged", "wrong_modality"]


def test_a_picture_that_does_not_decode(settings: Settings, tmp_path: Path) -> None:
    """Its reason, never a score."""
    path = tmp_path / "a.png"
    path.write_bytes(png("urgent", tmp_path / "b.png").read_bytes()[:200])
    result = read_one(open_readers(settings, None).triage, path, {"Modality": "DX"})
    assert (result.decision, result.reason) == (Decision.not_triaged, Reason.unreadable_pixels)


def test_nothing_read_is_written_as_null() -> None:
    """No pack, no device: null, and no made-up numbers."""
    row = as_row(Path("x"), ImageResult("", Decision.not_triaged, Reason.not_dicom))
    assert (row["pack"], row["device"], row["findings"], row["reason"]) == (None, None, [], "not_dicom")
