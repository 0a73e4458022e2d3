"""Facts from headers, good and bad."""

from __future__ import annotations

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from models.image_facts import ImageFacts, facts_of
from tests.dicom_factory import chest_radiograph


def test_an_ordinary_header() -> None:
    """Every fact of a plausible radiograph."""
    facts = facts_of(chest_radiograph())
    assert (facts.modality, facts.body_part_examined, facts.view_position) == ("DX", "CHEST", "AP")
    assert (facts.rows, facts.columns, facts.number_of_frames, facts.bits_allocated) == (512, 512, 1, 16)
    assert facts.patient_age_years == 4.0
    assert facts.photometric_interpretation == "MONOCHROME2"
    assert facts.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert facts.patient_species == ""


def test_an_empty_data_set_has_no_facts() -> None:
    """Missing UIDs and sizes are empty, nothing is raised."""
    assert facts_of(Dataset()) == ImageFacts()


@pytest.mark.parametrize(
    ("age", "born", "studied", "years"),
    [
        ("018M", None, None, 1.5),
        ("002W", None, None, 14 / 365.25),
        ("003D", None, None, 3 / 365.25),
        ("62", None, None, None),
        ("999Y", None, None, None),
        (None, "20211201", "20241201", 3.0),
        (None, "19000101", "20240101", None),
        (None, "19010101", "20010101", None),
        (None, "20300101", "20240101", None),
        (None, "not a date", "20240101", None),
        (None, "20230231", "20240101", None),
        ("999Y", "20200101", "20240101", 4.0),
    ],
)
def test_age(age: str | None, born: str | None, studied: str | None, years: float | None) -> None:
    """Patient's Age with its unit first, then the dates; fillers and nonsense are unknown."""
    dataset = Dataset()
    raw = {"PatientAge": (0x00101010, "AS", age), "PatientBirthDate": (0x00100030, "DA", born)}
    for tag, vr, text in [*raw.values(), (0x00080020, "DA", studied)]:
        if text is not None:
            value = text.encode()
            dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    assert facts_of(dataset).patient_age_years == (None if years is None else pytest.approx(years, abs=0.01))


def test_a_lying_vr_counts_as_absent() -> None:
    """Rows with a text that is no number, a UID list, a species sequence that is none: no exception."""
    dataset = Dataset()
    for tag, vr, value in [
        (0x00280010, "US", b"abc"),
        (0x00280008, "IS", b"1A"),
        (0x00080018, "UI", b"1.2\\3.4\0"),
        (0x00102202, "FD", b"\1\2\3"),
    ]:
        dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    facts = facts_of(dataset)
    assert (facts.rows, facts.number_of_frames, facts.sop_instance_uid) == (0, 1, "1.2")


def test_animals() -> None:
    """A species in words, and veterinary data without one."""
    assert facts_of(chest_radiograph(PatientSpeciesDescription="Felis catus")).patient_species == "FELIS CATUS"
    assert facts_of(chest_radiograph(PatientBreedDescription="Siamese")).patient_species == "ANIMAL"
