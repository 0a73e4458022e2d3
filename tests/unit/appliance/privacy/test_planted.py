"""A patient planted everywhere in instances of fifteen SOP classes: nothing of them is in a copy."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage

from appliance.privacy.compress import part_10
from appliance.privacy.deidentify import deidentify
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.identifiers import identifiers_of
from appliance.privacy.outgoing import require_nothing_of
from appliance.privacy.policy import Option, Policy
from tests.dicom_factory import as_bytes
from tests.planted import DOCUMENTS, IMAGES, Patient, corpus, planted_document, planted_image

KEY = bytes(range(32))
EVERY_CLEANING = frozenset(
    {Option.CLEAN_PIXEL_DATA, Option.CLEAN_DESCRIPTORS, Option.CLEAN_STRUCTURED_CONTENT, Option.CLEAN_GRAPHICS}
)
MOST_KEPT = EVERY_CLEANING | {
    Option.RETAIN_MODIFIED_DATES,
    Option.RETAIN_PATIENT_CHARACTERISTICS,
    Option.RETAIN_SAFE_PRIVATE,
}
STRICT = Policy(captures=True)
BASIC = Policy("basic", EVERY_CLEANING, captures=True)
LONGITUDINAL = Policy("basic", MOST_KEPT, captures=True)


def left_in(file: bytes, traces: Iterable[str]) -> list[str]:
    """The traces that a search finds in a file: in its bytes and, as deflate would hide them, in its elements."""
    lowered = file.lower()
    shown = str(dcmread(BytesIO(file))).lower()
    return [trace for trace in traces if trace.encode() in lowered or trace in shown]


@pytest.mark.parametrize("policy", [BASIC, LONGITUDINAL], ids=["basic", "longitudinal"])
def test_nothing_planted_is_left_in_any_class(policy: Policy) -> None:
    """Images and documents of fifteen classes, by the Basic Profile with options."""
    for sop_class_uid, patient, before in corpus(1):
        assert len(left_in(as_bytes(before), patient.traces)) > 8, "negative control: the search finds what is there"
        file = part_10(deidentify(before, KEY, policy))
        assert left_in(file, patient.traces) == [], sop_class_uid
        require_nothing_of(identifiers_of(before, policy), file)


def test_the_allow_list_leaves_nothing_either() -> None:
    """All images; documents it does not know."""
    for sop_class_uid in IMAGES:
        before = planted_image(sop_class_uid, Patient(3))
        assert left_in(part_10(deidentify(before, KEY, STRICT)), Patient(3).traces) == []
    for sop_class_uid in DOCUMENTS:
        with pytest.raises(CannotDeidentify, match="unsafe_sop_class"):
            deidentify(planted_document(sop_class_uid, Patient(3)), KEY, STRICT)


@pytest.mark.parametrize("keyword", ["BodyPartExamined", "ImageType", "SoftwareVersions", "CodeMeaning"])
def test_the_second_check_finds_what_the_first_left(keyword: str) -> None:
    """Negative control: a copy that repeats a part of the name anywhere is stopped, and the words do not repeat it."""
    before = planted_image(MRImageStorage, Patient(4))
    after = deidentify(before, KEY, BASIC)
    item = Dataset()
    setattr(item, keyword, "QUILLABY")
    after.update(item) if keyword != "CodeMeaning" else setattr(after, "AnatomicRegionSequence", [item])
    with pytest.raises(CannotDeidentify, match="identifier_left: a name") as caught:
        require_nothing_of(identifiers_of(before, BASIC), part_10(after))
    assert "quillaby" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("preamble", b"HOSP420004"),
        ("trailing", b"acc880004"),
        ("pixels", b"Zymandor004x"),
        ("pixels", "Zymandor004x".encode("utf-16-le")),
        ("private", b"1.2.826.0.1.3680043.9.7433.1.555004"),
        ("private", b"19540317"),
    ],
)
def test_the_second_check_reads_every_byte(where: str, value: bytes) -> None:
    """Negative control: identifiers beside the elements are found, too."""
    before = planted_image(CTImageStorage, Patient(4))
    after = deidentify(before, KEY, BASIC)
    if where == "pixels":
        after.PixelData = value + after.PixelData[len(value) :]
    if where == "private":
        after.private_block(0x0019, "X", create=True).add_new(0x01, "UN", value)
    if where == "preamble":
        after.preamble = value.ljust(128, b"\0")
    file = part_10(after) + (value if where == "trailing" else b"")
    with pytest.raises(CannotDeidentify, match="identifier_left"):
        require_nothing_of(identifiers_of(before, BASIC), file)


def test_what_cannot_be_read_back_does_not_leave() -> None:
    """Bytes that are no DICOM file are not vouched for."""
    before = planted_image(CTImageStorage, Patient(4))
    with pytest.raises(CannotDeidentify, match="identifier_left"):
        require_nothing_of(identifiers_of(before, BASIC), b"not DICOM")


def test_dates_move_together_and_intervals_stay() -> None:
    """Modified dates: by the same number of whole days for the patient; the time of day stays."""
    first, second = planted_image(CTImageStorage, Patient(5)), planted_image(MRImageStorage, Patient(5))
    second.StudyDate = second.SeriesDate = "20150630"
    one, two = (deidentify(dataset, KEY, LONGITUDINAL) for dataset in (first, second))
    days = np.datetime64(f"{two.StudyDate[:4]}-{two.StudyDate[4:6]}-{two.StudyDate[6:]}") - np.datetime64(
        f"{one.StudyDate[:4]}-{one.StudyDate[4:6]}-{one.StudyDate[6:]}"
    )
    assert days == np.timedelta64(12, "D")
    assert str(one.AcquisitionDateTime)[8:] == "101112"
    assert one.LongitudinalTemporalInformationModified == "MODIFIED"
    assert deidentify(first, KEY, BASIC).LongitudinalTemporalInformationModified == "REMOVED"


def test_the_codes_say_what_was_done() -> None:
    """De-identification Method Code Sequence names the profile and the options that were applied (CID 7050)."""
    derived = planted_image(CTImageStorage, Patient(6))
    derived.ImageType = ["DERIVED", "SECONDARY"]
    said = {item.CodeValue for item in deidentify(derived, KEY, LONGITUDINAL).DeidentificationMethodCodeSequence}
    assert said == {"113100", "113103", "113104", "113105", "113107", "113108", "113111", "113101"}
    slice_as_acquired = deidentify(planted_image(CTImageStorage, Patient(6)), KEY, LONGITUDINAL)
    said = {item.CodeValue for item in slice_as_acquired.DeidentificationMethodCodeSequence}
    assert "113101" not in said, "its pixels were not searched"


def test_safe_private_numbers_stay_and_names_beside_them_go() -> None:
    """The b-value of Siemens is on the standard's list; what else is in the block is not."""
    after = deidentify(planted_image(MRImageStorage, Patient(7)), KEY, LONGITUDINAL)
    assert [str(element.value) for element in after if element.tag.is_private] == ["SIEMENS MR HEADER", "1000"]
    assert not [
        element
        for element in deidentify(planted_image(MRImageStorage, Patient(7)), KEY, BASIC)
        if element.tag.is_private
    ]


def test_a_report_keeps_its_numbers_and_codes() -> None:
    """Of the content the measurement and the reference stay; its text and names become placeholders."""
    after = deidentify(planted_document(DOCUMENTS[1], Patient(8)), KEY, BASIC)
    kinds = [item.ValueType for item in after.ContentSequence]
    assert kinds == ["TEXT", "PNAME", "NUM", "IMAGE"], "the code of a local scheme is gone"
    assert after.ContentSequence[0].TextValue == "REMOVED"
    assert after.ContentSequence[1].PersonName == "Removed"
    assert after.ContentSequence[2].MeasuredValueSequence[0].NumericValue == 12
    with pytest.raises(CannotDeidentify, match="structured_content"):
        deidentify(planted_document(DOCUMENTS[1], Patient(8)), KEY, Policy("basic"))


def test_graphics_stay_without_their_words() -> None:
    """Clean Graphics: lines stay, text becomes a placeholder; without the option all of it goes."""
    after = deidentify(planted_document(DOCUMENTS[3], Patient(9)), KEY, BASIC)
    annotation = after.GraphicAnnotationSequence[0]
    assert annotation.GraphicObjectSequence[0].GraphicType == "POLYLINE"
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "REMOVED"
    assert "GraphicAnnotationSequence" not in deidentify(
        planted_document(DOCUMENTS[3], Patient(9)), KEY, Policy("basic")
    )


def test_uids_and_devices_stay_where_their_options_say_so() -> None:
    """Retain UIDs and Retain Device Identity."""
    policy = Policy("basic", frozenset({Option.RETAIN_UIDS, Option.RETAIN_DEVICE_IDENTITY}), captures=False)
    before = planted_image(CTImageStorage, Patient(2))
    before.StationName = "CT1"
    after = deidentify(before, KEY, policy)
    assert (after.StudyInstanceUID, after.DeviceSerialNumber) == (before.StudyInstanceUID, "SN770002")
    require_nothing_of(identifiers_of(before, policy), part_10(after))


def test_a_malformed_header_is_refused_by_name() -> None:
    """A sequence that is none: the worker goes on, the instance stays."""
    before = planted_image(CTImageStorage, Patient(2))
    before["RequestAttributesSequence"]._value = 7
    with pytest.raises(CannotDeidentify) as caught:
        deidentify(before, KEY, BASIC)
    assert caught.value.why == "unreadable_header"
