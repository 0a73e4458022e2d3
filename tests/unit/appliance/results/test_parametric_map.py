"""The heat map as numbers, read back, and where it lies."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from highdicom.pm import ParametricMap
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, ParametricMapStorage

from appliance.results.outcome import ImageFinding, StudyOutcome
from appliance.results.parametric_map import STEPS, build_map, can_be_mapped, map_uid
from models.decision import Decision
from tests.dicom_factory import chest_radiograph, uid

STUDY = uid("s")
HEAT = np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(64, 48)
RADIOGRAPH = chest_radiograph(StudyInstanceUID=STUDY, PixelSpacing=[0.4, 0.2], PatientOrientation=["L", "F"])
PLACE: dict[str, Any] = {
    "FrameOfReferenceUID": uid("frame"),
    "ImagePositionPatient": [-100.5, -99.0, 30.0],
    "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
    "SliceThickness": 5,
}


def outcome(image: Dataset) -> StudyOutcome:
    """Urgent because of pneumonia on this image."""
    found = ImageFinding(image.SOPInstanceUID, "pneumonia", 0.91)
    return StudyOutcome(STUDY, 1, Decision.urgent, 1_773_483_300.0, findings=(found,), shown=found)


def slice_of_a_head(**overrides: Any) -> Dataset:
    """A sagittal MR slice that says where it lies."""
    own: dict[str, Any] = {"SOPClassUID": MRImageStorage, "Modality": "MR", "PixelSpacing": [0.4, 0.2]}
    return chest_radiograph(StudyInstanceUID=STUDY, **own | PLACE | overrides)


def written(image: Dataset) -> Dataset:
    """The map, read back from its file."""
    return dcmread(BytesIO(build_map(image, HEAT, outcome(image))))


def corner(dataset: Dataset, row: float, column: float) -> list[float]:
    """Where a place in the map lies, mm."""
    shared, frame = dataset.SharedFunctionalGroupsSequence[0], dataset.PerFrameFunctionalGroupsSequence[0]
    down, along = (float(one) for one in shared.PixelMeasuresSequence[0].PixelSpacing)
    ways = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    first = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
    return [float(one) for one in first + row * down * ways[1] + column * along * ways[0]]


def test_the_values_come_back() -> None:
    """Stored in steps, mapped to 0..1 without unit, as a class activation."""
    read = ParametricMap.from_dataset(written(RADIOGRAPH))
    assert read.SOPClassUID == ParametricMapStorage
    assert np.abs(read.get_frame(1, apply_real_world_transform=True) - HEAT).max() <= 0.5 / STEPS + 1e-6
    mapping = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeMeaning == "Class activation"
    assert "pneumonia" in read.ContentDescription and "Research use only" in read.SeriesDescription
    assert read.ContentQualification == "RESEARCH"


@pytest.mark.parametrize(("row", "column"), [(-0.5, -0.5), (63.5, 47.5)])
def test_the_map_covers_the_image(row: float, column: float) -> None:
    """The outer corners of the coarse grid are those of the image, in the image's own frame of reference."""
    found = written(slice_of_a_head())
    assert found.FrameOfReferenceUID == PLACE["FrameOfReferenceUID"]
    rows, columns = (-0.5, -0.5) if row < 0 else (511.5, 511.5)
    expected = [-100.5, -99.0 + columns * 0.2, 30.0 - rows * 0.4]
    assert corner(found, row, column) == pytest.approx(expected)


def test_a_radiograph_gets_a_frame_of_its_own() -> None:
    """Turned as Patient Orientation says, and shared with no other image."""
    found, other = written(RADIOGRAPH), written(chest_radiograph(seed="1", StudyInstanceUID=STUDY))
    assert found.FrameOfReferenceUID != other.FrameOfReferenceUID
    assert corner(found, 0, 1)[0] > corner(found, 0, 0)[0]  # to the patient's left
    assert corner(found, 1, 0)[2] < corner(found, 0, 0)[2]  # to the feet


@pytest.mark.parametrize(
    "missing",
    [
        {"PixelSpacing": None, "ImagerPixelSpacing": None},
        {"PixelSpacing": [0, 0]},
        {"PatientOrientation": None},
        {"PatientOrientation": ["L", "R"]},
        {"Rows": None},
        {"SeriesInstanceUID": None},
    ],
)
def test_an_image_that_does_not_say_how_it_lies_has_no_map(missing: dict[str, Any]) -> None:
    """Nothing is made up."""
    image = chest_radiograph(StudyInstanceUID=STUDY, **missing)
    assert not can_be_mapped(image)
    with pytest.raises(ValueError, match="how it lies"):
        build_map(image, HEAT, outcome(image))


@pytest.mark.parametrize("orientation", [[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 2, 0]])
def test_a_crooked_orientation_is_not_believed(orientation: list[float]) -> None:
    """Patient Orientation is asked instead, in a frame that claims no neighbours."""
    found = written(slice_of_a_head(ImageOrientationPatient=orientation))
    assert found.FrameOfReferenceUID != PLACE["FrameOfReferenceUID"]


def test_rounded_direction_cosines_become_unit_vectors() -> None:
    """A sender wrote too few digits."""
    found = written(slice_of_a_head(ImageOrientationPatient=[1, 0, 0, 0, 0.98796, -0.151524]))
    assert found.FrameOfReferenceUID == PLACE["FrameOfReferenceUID"]
    orientation = found.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    ways = np.array(orientation, float).reshape(2, 3)
    assert np.linalg.norm(ways, axis=1) == pytest.approx([1.0, 1.0], abs=1e-7)


@pytest.mark.parametrize("frame", [STUDY, ""])
def test_a_frame_of_reference_that_is_none_is_not_believed(frame: str) -> None:
    """Another object's UID, or no UID: the image gets a frame of its own."""
    found = written(slice_of_a_head(FrameOfReferenceUID=frame))
    assert found.FrameOfReferenceUID not in (frame, PLACE["FrameOfReferenceUID"])


def test_it_names_the_image_by_its_true_class() -> None:
    """As source, wherever it is referenced."""
    found = written(RADIOGRAPH)
    (source,) = found.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == RADIOGRAPH.SOPInstanceUID
    (origin,) = found.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert source.ReferencedSOPClassUID == origin.ReferencedSOPClassUID == RADIOGRAPH.SOPClassUID


def test_a_repetition_is_the_same_file() -> None:
    """Bytes and UID follow from the arguments."""
    said = outcome(RADIOGRAPH)
    assert build_map(RADIOGRAPH, HEAT, said) == build_map(RADIOGRAPH, HEAT, said)
    assert written(RADIOGRAPH).SOPInstanceUID == map_uid(said) != map_uid(replace(said, revision=2))
