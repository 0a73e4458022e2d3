"""De-identification: nothing planted survives, pixels do, and what cannot be made safe is refused."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag
from pydicom.uid import (
    MPEG2MPML,
    UID,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)

from appliance.privacy.allow_list import ELEMENTS, EMPTIED, PSEUDONYMS, SEQUENCES, UIDS
from appliance.privacy.compress import part_10
from appliance.privacy.deidentify import age_string, deidentify, deidentify_path, pseudonym
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.fates import Fate
from appliance.privacy.policy import Policy
from tests.dicom_factory import as_bytes, as_file, chest_radiograph, compressed, set_pixels, uid

KEY = bytes(range(32))
SECRET = "ZZPLANTED"
SECRET_UID = "1.2.826.0.1.999999991"
TEXT_VRS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
#: Every text element of the standard but the file's own header and the one that has an instance refused.
TEXT_TAGS = [
    Tag(tag)
    for tag, (vr, *_) in DicomDictionary.items()
    if vr in TEXT_VRS and tag >> 16 > 0x0006 and tag != Tag("ConversionType")
]
SMALL = chest_radiograph().pixel_array[:32, :48]


def planted() -> Dataset:
    """A radiograph with the secret in every text element of the standard and in every other place."""
    dataset = chest_radiograph(pixels=SMALL, PatientID=SECRET, PatientName=f"{SECRET}^{SECRET}")
    for tag in TEXT_TAGS:
        if tag not in dataset:
            dataset.add(DataElement(tag, dictionary_VR(tag), SECRET, validation_mode=0))
    dataset.StudyDate, dataset.AcquisitionDateTime = "19990909", "19990909101010"
    dataset.FrameOfReferenceUID, dataset.DeviceUID = UID(SECRET_UID), UID(SECRET_UID)
    _plant_nested(dataset)
    return dataset


def _plant_nested(dataset: Dataset) -> None:
    item, inner = Dataset(), Dataset()
    inner.PatientName = item.PatientID = SECRET
    item.OtherPatientIDsSequence = [inner]
    dataset.RequestAttributesSequence = dataset.ReferencedStudySequence = [item]
    table = Dataset()
    table.LUTDescriptor, table.LUTExplanation, table.ModalityLUTType = [4, 0, 16], SECRET, SECRET
    table.add_new("LUTData", "OW", np.arange(4, dtype="<u2").tobytes())
    table.PatientComments = SECRET
    dataset.VOILUTSequence = [table]
    block = dataset.private_block(0x0011, SECRET, create=True)
    block.add_new(0x01, "LO", SECRET)
    dataset.add_new(0x60000022, "LO", SECRET)
    dataset.add_new(0x60003000, "OW", SECRET.encode() + b" ")
    dataset.add_new(0xFFFCFFFC, "OB", SECRET.encode() + b" ")
    dataset.PixelData = dataset.PixelData + SECRET.encode() + b" "
    dataset.file_meta.SourceApplicationEntityTitle = SECRET
    dataset.file_meta.PrivateInformationCreatorUID = UID(SECRET_UID)
    dataset.file_meta.PrivateInformation = SECRET.encode() + b" "
    dataset.preamble = SECRET.encode().ljust(128, b"\0")


def test_nothing_planted_survives() -> None:
    """No text, UID, date, nested item, private element, overlay, padding or file header gets through."""
    before = planted()
    written = part_10(deidentify(before, KEY))
    for trace in (
        SECRET.encode(),
        SECRET_UID.encode(),
        b"19990909",
        b"20211201",
        before.StudyInstanceUID.encode(),
    ):
        assert trace in as_bytes(before)
        assert trace not in written


def test_every_text_element_on_the_allow_list_refuses_free_text() -> None:
    """Each allow-listed element that can hold text drops a name typed into it, or the instance is refused."""
    for keyword in ELEMENTS:
        if dictionary_VR(keyword) not in TEXT_VRS:
            continue
        before = chest_radiograph(pixels=SMALL)
        before.add(DataElement(keyword, dictionary_VR(keyword), SECRET, validation_mode=0))
        try:
            assert SECRET.encode() not in part_10(deidentify(before, KEY)), keyword
        except CannotDeidentify as refusal:
            assert SECRET not in str(refusal)


def test_a_copy_would_be_caught() -> None:
    """Negative control: the search that passes above finds the secret in the instance as it came."""
    assert as_bytes(planted()).count(SECRET.encode()) > 300


def test_only_listed_elements_come_out() -> None:
    """The result has no element outside the allow-list and the few we set ourselves."""
    ours = {"PatientAge", "PatientSpeciesDescription", "PatientIdentityRemoved", "DeidentificationMethod"}
    ours |= {"LongitudinalTemporalInformationModified", "PixelData", "DeidentificationMethodCodeSequence"}
    allowed = {*ELEMENTS, *SEQUENCES, *UIDS, *EMPTIED, *PSEUDONYMS, *ours}
    assert {element.keyword for element in deidentify(planted(), KEY)} <= allowed


def test_what_a_model_and_a_display_need_survives() -> None:
    """Technique, age, spacing and window are kept as they were."""
    before = chest_radiograph()
    after = deidentify(before, KEY)
    for keyword in (
        "Modality",
        "BodyPartExamined",
        "ViewPosition",
        "PatientAge",
        "PatientSex",
        "PixelSpacing",
    ):
        assert after[keyword].value == before[keyword].value
    for keyword in ("WindowCenter", "WindowWidth", "PresentationIntentType", "RescaleSlope", "ImageType"):
        assert after[keyword].value == before[keyword].value
    assert after.PatientIdentityRemoved == "YES"
    assert after.DeidentificationMethod


def test_a_study_stays_together_and_a_key_changes_everything() -> None:
    """UIDs are equal for equal originals under one key, and unrelated under another."""
    one, two = (chest_radiograph(seed=seed, pixels=SMALL, StudyInstanceUID=uid("s")) for seed in "ab")
    first, second = deidentify(one, KEY), deidentify(two, KEY)
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    other = deidentify(one, bytes(32))
    assert other.StudyInstanceUID != first.StudyInstanceUID
    assert other.PatientID != first.PatientID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert first.StudyInstanceUID.startswith("2.25.") and len(first.StudyInstanceUID) <= 64


def test_pseudonyms_are_stable_and_never_merge_patients() -> None:
    """The same patient keeps one pseudonym; two studies without Patient ID get two."""
    again = chest_radiograph(seed="2", PatientID="P-1")
    assert pseudonym(chest_radiograph(seed="1"), KEY) == pseudonym(again, KEY)
    nameless = [chest_radiograph(seed=seed, PatientID=None) for seed in "ab"]
    assert pseudonym(nameless[0], KEY) != pseudonym(nameless[1], KEY)


@pytest.mark.parametrize(
    ("years", "written"),
    [(None, ""), (0.02, "007D"), (0.5, "006M"), (1.99, "023M"), (4.0, "004Y"), (89.9, "089Y"), (91, "090Y")],
)
def test_age_is_capped_and_keeps_its_unit(years: float | None, written: str) -> None:
    """Infants keep months, the very old become 090Y."""
    assert age_string(years) == written


def test_age_is_derived_from_the_dates_that_are_dropped() -> None:
    """Without Patient's Age the dates give it before they go."""
    after = deidentify(chest_radiograph(pixels=SMALL, PatientAge=None), KEY)
    assert after.PatientAge == "004Y"
    assert not after.PatientBirthDate and not after.StudyDate


def test_an_animal_stays_an_animal() -> None:
    """The breed goes, the fact that the patient is not human stays."""
    after = deidentify(chest_radiograph(pixels=SMALL, PatientSpeciesDescription="Canis familiaris"), KEY)
    assert after.PatientSpeciesDescription == "Animal"


def depth(dtype: str, low: int, high: int, shape: tuple[int, ...] = (33, 47)) -> NDArray[np.generic]:
    """Random integers over the whole range of a bit depth, odd sized."""
    return np.random.default_rng(1).integers(low, high, shape, dtype=dtype)


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        (depth("u1", 0, 256), 8),
        (depth("u2", 0, 4096), 12),
        (depth("u2", 0, 65536), 16),
        (depth("i2", -2048, 2048), 12),
        (depth("i2", -32768, 32768), 16),
        (depth("u1", 0, 256, (33, 47, 3)), 8),
    ],
)
def test_pixels_do_not_change_by_a_bit(pixels: NDArray[np.generic], bits: int) -> None:
    """8, 12 and 16 bit, signed and unsigned, and RGB come out with every value they had."""
    before = chest_radiograph(pixels=pixels, bits=bits)
    after = dcmread(BytesIO(part_10(deidentify(before, KEY))))
    assert np.array_equal(after.pixel_array, pixels)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
def test_compressed_pixels_decode_to_the_same(syntax: str) -> None:
    """Compressed frames lose comments at most, never a value."""
    after = dcmread(BytesIO(part_10(deidentify(compressed(chest_radiograph(pixels=SMALL), syntax), KEY))))
    assert np.array_equal(after.pixel_array, SMALL)


def test_big_endian_pixels_are_turned_round() -> None:
    """The retired big endian syntax comes out little endian with the same values."""
    before = chest_radiograph(pixels=SMALL)
    before.PixelData = SMALL.astype(">u2").tobytes()
    before.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    swapped = dcmread(BytesIO(as_bytes(before)))
    assert np.array_equal(deidentify(swapped, KEY).pixel_array, SMALL)


def test_bits_beyond_bits_stored_are_cleared() -> None:
    """An overlay hidden in the unused high bits of the pixel cells is gone, the pixels are not."""
    before = chest_radiograph(pixels=SMALL | np.uint16(0xF000))
    after = deidentify(before, KEY)
    assert np.array_equal(np.frombuffer(after.PixelData, "<u2").reshape(SMALL.shape), SMALL)


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_comments_in_compressed_frames_are_gone(syntax: str) -> None:
    """Free text in the codestream and behind its end does not survive; the values do."""
    before = compressed(chest_radiograph(pixels=SMALL), syntax)
    frame = next(generate_frames(before.PixelData, number_of_frames=1))
    marker = b"\xff\xfe" if syntax == JPEGLSLossless else b"\xff\x64"
    text = (b"" if syntax == JPEGLSLossless else b"\0\1") + SECRET.encode()
    comment = marker + (len(text) + 2).to_bytes(2, "big") + text
    at = 2 if syntax == JPEGLSLossless else 4 + int.from_bytes(frame[4:6], "big")
    before.PixelData = encapsulate([frame[:at] + comment + frame[at:] + SECRET.encode()])
    assert before.PixelData.count(SECRET.encode()) == 2
    after = dcmread(BytesIO(part_10(deidentify(before, KEY))))
    assert SECRET.encode() not in after.PixelData
    assert np.array_equal(after.pixel_array, SMALL)


def burned_in() -> Dataset:
    """An image that says its pixels name the patient."""
    return chest_radiograph(pixels=SMALL, BurnedInAnnotation="YES")


def of_class(sop_class_uid: str) -> Callable[[], Dataset]:
    """An image that claims another SOP class."""
    return lambda: chest_radiograph(pixels=SMALL, SOPClassUID=sop_class_uid)


def emptied() -> Dataset:
    """An image whose Pixel Data is there without a value."""
    dataset = chest_radiograph(pixels=SMALL)
    dataset["PixelData"] = DataElement("PixelData", "OW", None)
    return dataset


def in_video() -> Dataset:
    """An image in a transfer syntax nothing is known about."""
    dataset = chest_radiograph(pixels=SMALL)
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    return dataset


def torn() -> Dataset:
    """An image with fewer bytes than its size needs."""
    dataset = chest_radiograph(pixels=SMALL)
    dataset.PixelData = dataset.PixelData[:100]
    return dataset


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (burned_in, "burned_in_annotation"),
        (of_class(SecondaryCaptureImageStorage), "unsafe_sop_class"),
        (of_class(EncapsulatedPDFStorage), "unsafe_sop_class"),
        (of_class(UltrasoundImageStorage), "unsafe_sop_class"),
        (of_class("1.2.3.4"), "unsafe_sop_class"),
        (lambda: chest_radiograph(pixels=SMALL, ConversionType="WSD"), "screen_capture"),
        (
            lambda: chest_radiograph(pixels=SMALL, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]),
            "screen_capture",
        ),
        (lambda: chest_radiograph(pixels=SMALL, PixelData=None), "no_pixel_data"),
        (
            lambda: chest_radiograph(pixels=SMALL, PhotometricInterpretation="PALETTE COLOR"),
            "unreadable_pixels",
        ),
        (lambda: chest_radiograph(pixels=SMALL, StudyInstanceUID=None), "no_uid"),
        (emptied, "no_pixel_data"),
        (in_video, "unsupported_transfer_syntax"),
        (torn, "unreadable_pixels"),
    ],
)
def test_what_cannot_be_made_safe_is_refused(make: Callable[[], Dataset], why: str) -> None:
    """Each refusal has its own fixed word."""
    with pytest.raises(CannotDeidentify) as caught:
        deidentify(make(), KEY)
    assert caught.value.why == why


def test_a_site_may_let_captures_go() -> None:
    """Ultrasound goes where the site lets captures go, because words in them are blanked."""
    before = chest_radiograph(pixels=SMALL, SOPClassUID=UltrasoundImageStorage, Modality="US")
    after = deidentify(before, KEY, Policy(captures=True))
    assert (after.Modality, after.BurnedInAnnotation) == ("US", "NO")


def test_a_short_key_is_no_key() -> None:
    """Guessable keys are refused."""
    with pytest.raises(ValueError, match="32 bytes"):
        deidentify(chest_radiograph(pixels=SMALL), b"short")


def test_the_original_is_left_alone() -> None:
    """De-identifying changes nothing in its argument."""
    before = planted()
    as_it_was = zlib.crc32(as_bytes(before))
    deidentify(before, KEY)
    assert zlib.crc32(as_bytes(before)) == as_it_was


def test_a_file_becomes_a_safe_file(tmp_path: Path) -> None:
    """The command line's way: one file in, one file out, and its report."""
    source, target = as_file(planted(), tmp_path / "in.dcm"), tmp_path / "out.dcm"
    fates = deidentify_path(source, target, KEY)
    assert SECRET.encode() not in target.read_bytes()
    assert any(one.fate is Fate.DROPPED for one in fates)


def test_a_refused_file_leaves_nothing(tmp_path: Path) -> None:
    """A file that is not DICOM is refused and nothing is written."""
    source = tmp_path / "in.txt"
    source.write_text("no picture")
    with pytest.raises(CannotDeidentify, match="not_dicom"):
        deidentify_path(source, tmp_path / "out.dcm", KEY)
    assert not (tmp_path / "out.dcm").exists()


def test_planar_colour_keeps_its_layout() -> None:
    """Colour-by-plane pixels are not mistaken for colour-by-pixel."""
    rgb = np.random.default_rng(2).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    before = chest_radiograph(pixels=rgb, bits=8)
    set_pixels(before, rgb, 8)
    before.PlanarConfiguration, before.PixelData = 1, np.moveaxis(rgb, 2, 0).tobytes()
    assert np.array_equal(dcmread(BytesIO(part_10(deidentify(before, KEY)))).pixel_array, rgb)
