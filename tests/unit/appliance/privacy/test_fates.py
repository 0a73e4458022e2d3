"""The account of what became of each element."""

from __future__ import annotations

from pydicom.dataset import Dataset

from appliance.privacy.deidentify import deidentify
from appliance.privacy.fates import Fate, report
from tests.dicom_factory import chest_radiograph

KEY = bytes(range(32))
SECRET = "ZZPLANTED"
SMALL = chest_radiograph().pixel_array[:16, :24]


def identified() -> Dataset:
    """A radiograph with a name at the top, in a sequence and in a private element."""
    dataset = chest_radiograph(pixels=SMALL, PatientName=SECRET, InstitutionName=SECRET)
    item = Dataset()
    item.PatientID = SECRET
    dataset.RequestAttributesSequence = [item]
    dataset.private_block(0x0011, SECRET, create=True).add_new(0x01, "LO", SECRET)
    return dataset


def test_the_report_names_the_fate_of_every_element() -> None:
    """Each element of either side appears once, without its value."""
    before = identified()
    fates = {one.path: one for one in report(before, deidentify(before, KEY))}
    assert fates["(0010,0010)"].fate is Fate.REPLACED
    assert fates["(0010,0030)"].fate is Fate.EMPTIED
    assert fates["(0008,0060)"].fate is Fate.KEPT
    assert fates["(0008,0080)"].fate is Fate.DROPPED
    assert fates["(0040,0275)[1].(0010,0020)"].fate is Fate.DROPPED
    assert SECRET not in repr(fates)
    plain = chest_radiograph(pixels=SMALL)
    added = {one.keyword for one in report(plain, deidentify(plain, KEY)) if one.fate is Fate.ADDED}
    assert {"PatientIdentityRemoved", "DeidentificationMethod"} <= added
