"""What holds for a header and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from appliance.rules.conditions import first_unmet
from tests.dicom_factory import chest_radiograph


def header(**overrides: Any) -> Dataset:
    """A radiograph of Phantom^0, P-0, series number 1, with a code for what is shown."""
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "43799004", "SCT", "Chest"
    return chest_radiograph(AnatomicRegionSequence=[region], **overrides)


HOLD = [
    {"Modality": "DX"},
    {"Modality": "dx"},
    {"Modality": ["CT", "DX"]},
    {"PatientID": "P-*"},
    {"PatientID": "P-?"},
    {"PatientName": "phantom^*"},
    {"ImageType": "PRIMARY"},
    {"SeriesNumber": 1},
    {"SeriesNumber": "1"},
    {"KVP": 60.0},
    {"Rows": 512},
    {"StationName": False},
    {"AccessionNumber": True},
    {"AnatomicRegionSequence": True},
    {"AnatomicRegionSequence": {"CodeValue": "43799004", "CodingSchemeDesignator": "SCT"}},
    {"TransferSyntaxUID": "1.2.840.10008.1.2*"},
    {"Modality": "DX", "BodyPartExamined": "CHEST"},
]
DO_NOT = [
    {"Modality": "D"},
    {"Modality": "[DC]X"},
    {"PatientID": "P-??"},
    {"PatientID": "p"},
    {"ImageType": "ORIGINAL\\PRIMARY"},
    {"SeriesNumber": 2},
    {"Modality": 1},
    {"StationName": True},
    {"StationName": "*"},
    {"AccessionNumber": False},
    {"AnatomicRegionSequence": {"CodeValue": "43799004", "CodingSchemeDesignator": "SRT"}},
    {"ProcedureCodeSequence": {"CodeValue": "*"}},
]


@pytest.mark.parametrize("conditions", HOLD, ids=str)
def test_conditions_that_hold(conditions: dict[str, Any]) -> None:
    """Text in any case, wild cards, one of several values, numbers, presence, items of a sequence."""
    assert first_unmet(conditions, header()) is None


@pytest.mark.parametrize("conditions", DO_NOT, ids=str)
def test_conditions_that_do_not_hold(conditions: dict[str, Any]) -> None:
    """A text is compared as a whole, brackets stand for themselves, and what is absent equals nothing."""
    assert first_unmet(conditions, header()) in conditions


def test_the_first_unmet_condition_is_named() -> None:
    """So that a person sees why a rule does not match."""
    assert first_unmet({"Modality": "DX", "PatientID": "Q*", "Rows": 1}, header()) == "PatientID"


def test_an_empty_value_is_none() -> None:
    """An element of length zero has no value (PS3.5 7.4.5)."""
    assert first_unmet({"AccessionNumber": False}, header(AccessionNumber="")) is None


def test_a_value_nobody_can_read_is_there_and_equals_nothing() -> None:
    """A number of three bytes, say."""
    damaged = header()
    tag = Tag("Rows")
    damaged[tag] = RawDataElement(tag, "US", 3, b"\x01\x02\x03", 0, False, True)
    assert first_unmet({"Rows": True}, damaged) is None
    assert first_unmet({"Rows": 513}, damaged) == "Rows"


def test_many_wild_cards_take_no_time() -> None:
    """A pattern of the worst kind against a long value."""
    assert first_unmet({"ImageComments": "*a" * 40 + "b"}, header(ImageComments="a" * 10_000)) == "ImageComments"
