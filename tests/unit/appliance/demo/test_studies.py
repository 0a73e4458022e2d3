"""What the demonstration sends."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from pydicom import dcmread

from appliance.demo.studies import CHESTS, studies_of_folder, synthetic_studies
from appliance.errors import ConfigurationInvalid
from tests.dicom_factory import as_file, uid
from tests.small_box import image
from tests.tiny_pack import picture


def test_the_synthetic_studies(tmp_path: Path) -> None:
    """Each a study of its own, marked as synthetic, of nobody; with two that no pack is for."""
    sent = list(synthetic_studies(tmp_path))
    assert len(sent) == len(CHESTS) + 2
    assert len({one.study_instance_uid for one in sent}) == len(sent)
    headers = [dcmread(one.path) for one in sent]
    assert all(header[0x0008001C].value == "YES" for header in headers)
    assert all(header.PatientName.family_name == "Synthetic" for header in headers)
    assert [header.SOPInstanceUID for header in headers] == [one.sop_instance_uid for one in sent]
    assert [(h.Modality, h.BodyPartExamined) for h in headers[-2:]] == [("CT", "ABDOMEN"), ("DX", "CHEST")]
    assert all(header.pixel_array.shape == (header.Rows, header.Columns) for header in headers)


def test_a_folder_of_anybodys_images(tmp_path: Path) -> None:
    """DICOM goes as it is, a picture becomes a study, anything else is passed over."""
    source, target = tmp_path / "in", tmp_path / "out"
    target.mkdir()
    path = as_file(image(), source / "a.dcm")
    assert cv2.imwrite(str(source / "b.png"), picture("urgent", 64, 64))
    (source / "c.txt").write_text("a letter")
    (source / ".DS_Store").write_bytes(b"\0" * 200)
    first, second = studies_of_folder(source, target)
    assert (first.path, first.study_instance_uid) == (path, uid("study 0"))
    made = dcmread(second.path)
    assert (made.Modality, made.PatientName.family_name) == ("DX", "Demo")
    assert 0x0008001C not in made


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_images(tmp_path: Path, name: str) -> None:
    """Said before anything is started."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationInvalid, match="holds no DICOM, PNG or JPEG file; give another folder"):
        list(studies_of_folder(tmp_path / name, tmp_path))
