"""The table of PS3.15 Annex E as data: well-formed, known to the dictionary, and applied as it says."""

from __future__ import annotations

import re

import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR, private_dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.policy import METHOD_CODES, Option, Policy
from appliance.privacy.profile import apply_profile
from appliance.privacy.profile_table import PRIVATE_ROW, Action, content_rows, row_of, rows
from appliance.privacy.safe_private import safe_rows
from appliance.privacy.stay import Stay

BASIC = {"X", "Z", "D", "U", "X/Z", "X/D", "X/Z/D", "Z/D", "X/Z/U*"}
COLUMNS = {*(option.value for option in Option if option is not Option.CLEAN_PIXEL_DATA)}
NOT_OFFERED = {"retain_full_dates", "retain_institution_identity"}
#: Of editions younger than the dictionary that pydicom has.
YOUNGER = re.compile("0010001[1-6]|0010004[1-7]|00102162|0008130[1-4]|0040B03[46BF]|0040A03[45]|0040E012|3004007F")
STAY = Stay(Policy("basic", frozenset()), bytes(32), 500)


def test_every_row_is_well_formed_and_known() -> None:
    """657 rows of edition 2026d: a tag the dictionary knows or that is named here, and codes of the standard."""
    assert len(rows()) == 657
    for tag, row in rows().items():
        assert row.basic in BASIC, tag
        assert set(row.options) <= COLUMNS | NOT_OFFERED and set(row.options.values()) <= {"K", "C"}, tag
        if tag not in ("50xxxxxx", "60xx3000", "60xx4000", PRIVATE_ROW):
            assert dictionary_has_tag(int(tag, 16)) or YOUNGER.fullmatch(tag), tag


def test_every_row_for_content_is_well_formed() -> None:
    """214 rows by value type, scheme and code."""
    assert len(content_rows()) == 214
    for (kind, scheme, code), row in content_rows().items():
        assert kind.isupper() and scheme and code and row.name
        assert row.basic in BASIC and set(row.options.values()) <= {"K", "C"}


@pytest.mark.parametrize(
    ("tag", "action"),
    [
        (0x00100010, Action.EMPTY),
        (0x00080018, Action.NEW_UID),
        (0x00104000, Action.REMOVE),
        (0x00091001, Action.REMOVE),
        (0x50020001, Action.REMOVE),
        (0x60023000, Action.REMOVE),
        (0x00080070, None),
        (0x00280010, None),
    ],
)
def test_an_element_finds_its_row(tag: int, action: Action | None) -> None:
    """Repeating groups and private ones included; what the table does not mention has no row."""
    row = row_of(tag)
    assert (row.action(()) if row else None) is action


def test_keeping_goes_before_cleaning() -> None:
    """Beam Hold Transition DateTime: a device's option keeps it, the one for modified dates alone would move it."""
    row = rows()["300C0127"]
    assert row.action([Option.RETAIN_MODIFIED_DATES]) is Action.CLEAN
    assert row.action([Option.RETAIN_MODIFIED_DATES, Option.RETAIN_DEVICE_IDENTITY]) is Action.KEEP


IN_DICTIONARY = [tag for tag in rows() if re.fullmatch("[0-9A-F]{8}", tag) and dictionary_has_tag(int(tag, 16))]


@pytest.mark.parametrize("tag", IN_DICTIONARY)
def test_no_value_of_a_marked_element_stays(tag: str) -> None:
    """Each element of the table with a value in it: gone, empty, or another value."""
    number = int(tag, 16)
    before = Dataset()
    value = planted_value(number)
    before.add(DataElement(number, vr_of(number), value, validation_mode=0))
    if tag == "0040A730":
        with pytest.raises(CannotDeidentify, match="structured_content"):
            apply_profile(before, STAY)
        return
    after = apply_profile(before, STAY)
    assert "ZZPLANTED" not in str(after) and "19991231" not in str(after) and "1.2.826.9" not in str(after)
    if number in after and vr_of(number) not in ("DS", "IS", "US", "SQ"):
        assert after[number].value != value


def vr_of(tag: int) -> str:
    """The first VR of the dictionary."""
    return dictionary_VR(tag).split(" ")[0]


def planted_value(tag: int) -> object:
    """A value of the element's VR."""
    vr = vr_of(tag)
    item = Dataset()
    item.PatientComments = "ZZPLANTED"
    values: dict[str, object] = {
        "SQ": [item],
        "UI": "1.2.826.9",
        "DA": "19991231",
        "DT": "19991231101010",
        "TM": "111213",
    }
    values |= (
        dict.fromkeys(("OB", "OW", "UN"), b"ZZPLANTED ") | dict.fromkeys(("DS", "IS"), "7") | {"US": 7, "AS": "033Y"}
    )
    return values.get(vr, "ZZPLANTED")


def test_the_methods_have_their_codes() -> None:
    """CID 7050 has one for each option that can be chosen."""
    assert set(METHOD_CODES) == set(Option)


def test_safe_private_elements_are_known_numbers() -> None:
    """Each of them is in pydicom's private dictionary with that VR, and cannot hold text."""
    for (creator, group, low), vr in safe_rows().items():
        assert private_dictionary_VR((group << 16) | 0x1000 | low, creator) == vr
        assert vr in ("DS", "IS", "FD", "FL", "SL", "SS")
