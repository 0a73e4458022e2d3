"""What a result takes over from its study."""

from __future__ import annotations

import datetime
import uuid

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, EncapsulatedPDFStorage

from appliance.results.reference import (
    can_be_referenced,
    derived_uid,
    is_image,
    local_time,
    orientation_of,
    study_reference,
    take_over,
)
from tests.dicom_factory import chest_radiograph


def with_raw(keyword: str, value: object) -> Dataset:
    """A radiograph with one value that pydicom would not let anybody set."""
    dataset = chest_radiograph()
    dataset.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=0))
    return dataset


def test_uids_follow_from_their_parts() -> None:
    """Equal parts give equal UIDs, and each is a UUID in the 2.25 form."""
    one = derived_uid("1.2.3", 1, "report")
    assert one == derived_uid("1.2.3", 1, "report")
    assert len({one, derived_uid("1.2.3", 2, "report"), derived_uid("1.2.3", 1, "picture")}) == 3
    assert derived_uid("a", "bc") != derived_uid("ab", "c")
    assert UID(one).is_valid and uuid.UUID(int=int(one[5:])).version == 8


def test_patient_and_study_are_taken_over() -> None:
    """Identity and study come from the original."""
    source = chest_radiograph(PatientName="Müller^Zoë", IssuerOfPatientID="CLINIC")
    reference = study_reference([source], "1.2.3")
    assert reference.PatientName == "Müller^Zoë" and reference.IssuerOfPatientID == "CLINIC"
    assert reference.PatientID == source.PatientID and reference.StudyDate == source.StudyDate
    assert reference.StudyInstanceUID == "1.2.3"


def test_missing_elements_are_empty_and_an_empty_study_is_an_error() -> None:
    """Type 2 elements are always there; without a source there is no result."""
    reference = study_reference([Dataset()], "1.2.3")
    assert reference.PatientID == "" and reference.StudyTime == "" and "PatientAge" not in reference
    with pytest.raises(ValueError, match="at least one instance"):
        study_reference([], "1.2.3")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "yesterday"),
        ("StudyTime", "25:99"),
        ("PatientSex", "UNKNOWN"),
        ("StudyDate", "1999"),
    ],
)
def test_a_malformed_value_is_not_repeated(keyword: str, value: str) -> None:
    """What breaks its own value representation is left empty."""
    assert not study_reference([with_raw(keyword, value)], "1.2.3")[keyword].value


def test_a_malformed_identifier_is_kept() -> None:
    """The archive knows the original by it, right or wrong."""
    long = "X" * 70
    assert study_reference([with_raw("PatientID", long)], "1.2.3").PatientID == long


def test_a_sender_that_removed_the_identity_without_saying_how() -> None:
    """The method is required beside the flag, so its absence is put in words."""
    reference = study_reference([chest_radiograph(PatientIdentityRemoved="YES")], "1.2.3")
    assert reference.DeidentificationMethod == "Not stated by the sender"


def test_take_over_replaces() -> None:
    """The reference wins over what a document already says."""
    document = Dataset()
    document.PatientID = "constructor"
    take_over(document, study_reference([chest_radiograph()], "1.2.3"))
    assert document.PatientID == "P-0"


@pytest.mark.parametrize(("zone", "hour"), [(None, 2), ("+0530", 8), ("-0400", 22), ("nonsense", 2), ("+05", 2)])
def test_time_is_that_of_the_original(zone: str | None, hour: int) -> None:
    """The zone the images name, and UTC when they name none that can be read."""
    reference = Dataset()
    if zone:
        reference.add(DataElement("TimezoneOffsetFromUTC", "SH", zone, validation_mode=0))
    moment = local_time(datetime.datetime(2026, 3, 14, 2, 31, tzinfo=datetime.UTC).timestamp(), reference)
    assert moment.hour == hour and moment.tzinfo is None


@pytest.mark.parametrize(
    ("value", "kept"), [(["L", "F"], ["L", "F"]), ("L", []), (["LEFT", "F"], []), (None, []), (["", "F"], [])]
)
def test_orientation_is_taken_only_when_sound(value: object, kept: list[str]) -> None:
    """An orientation that nobody could read stays unknown."""
    assert orientation_of(chest_radiograph(PatientOrientation=value)) == kept


def test_what_is_an_image_and_what_can_be_referenced() -> None:
    """Pixels make an image, three UIDs make a reference."""
    assert is_image(chest_radiograph())
    assert not is_image(chest_radiograph(Rows=None))
    assert not is_image(chest_radiograph(SOPClassUID=EncapsulatedPDFStorage))
    assert can_be_referenced(chest_radiograph())
    assert not can_be_referenced(chest_radiograph(SeriesInstanceUID=None))
