"""Kinds of instance: acquired images, images that carry words as a rule, and documents without pixels."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EncapsulatedCDAStorage,
    EncapsulatedPDFStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VLEndoscopicImageStorage,
    VLPhotographicImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from appliance.privacy.errors import UNREADABLE, CannotDeidentify
from appliance.privacy.policy import Option, Policy

#: Acquired images. Captures, documents and ultrasound carry words in their pixels as a rule.
ACQUIRED: Final = frozenset(
    {
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalIntraOralXRayImageStorageForPresentation,
        CTImageStorage,
        MRImageStorage,
    }
)
#: Images that go only after the words in them were found and blanked, and only where the site says so.
CAPTURES: Final = frozenset(
    {
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
        NuclearMedicineImageStorage,
        PositronEmissionTomographyImageStorage,
        SecondaryCaptureImageStorage,
        UltrasoundImageStorage,
        UltrasoundMultiFrameImageStorage,
        VLEndoscopicImageStorage,
        VLPhotographicImageStorage,
        XRayAngiographicImageStorage,
        XRayRadiofluoroscopicImageStorage,
    }
)
REPORTS: Final = frozenset(
    {BasicTextSRStorage, EnhancedSRStorage, ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage}
)
PRESENTATIONS: Final = frozenset({GrayscaleSoftcopyPresentationStateStorage})
_DOCUMENTS = frozenset({EncapsulatedPDFStorage, EncapsulatedCDAStorage})
_CROSS_SECTIONS = frozenset({CTImageStorage, MRImageStorage})
_SCREEN_IMAGE_TYPES = frozenset({"SCREEN SAVE", "SCREENSAVE", "DOSE_INFO", "REPORT", "RESULT", "CSAPARALLEL"})


def has_pixels(sop_class_uid: str) -> bool:
    """Whether instances of the class have pixels that have to be cleaned."""
    return sop_class_uid not in REPORTS | PRESENTATIONS


def refuse_unsafe(dataset: Dataset, policy: Policy) -> None:
    """Raise CannotDeidentify for an instance of a kind that the policy does not let go."""
    sop_class_uid = text_of(dataset, "SOPClassUID")
    searched = policy.has(Option.CLEAN_PIXEL_DATA)
    if sop_class_uid in _DOCUMENTS or "EncapsulatedDocument" in dataset:
        raise CannotDeidentify("unsafe_sop_class", "nothing is known to make an encapsulated document safe")
    if sop_class_uid in REPORTS | PRESENTATIONS:
        _refuse_without_option(sop_class_uid, policy)
        return
    if sop_class_uid not in ACQUIRED | (CAPTURES if policy.captures and searched else frozenset()):
        raise CannotDeidentify("unsafe_sop_class", "instances of this SOP class may carry words in their pixels")
    if policy.captures and searched:
        return
    if text_of(dataset, "BurnedInAnnotation").upper() not in ("", "NO"):
        raise CannotDeidentify("burned_in_annotation", "the instance says that its pixels name the patient")
    if is_screen(dataset):
        raise CannotDeidentify("screen_capture", "the image is that of a screen or a film, not of an acquisition")


def is_screen(dataset: Dataset) -> bool:
    """Whether an image says that it was captured or digitised, not acquired."""
    types = {part.strip().upper() for part in text_of(dataset, "ImageType").split("\\")}
    return bool(types & _SCREEN_IMAGE_TYPES) or "ConversionType" in dataset


def must_be_searched(dataset: Dataset) -> bool:
    """Whether an image's pixels are searched for words: all but the original slices of CT and MR that say of none."""
    if text_of(dataset, "SOPClassUID") not in _CROSS_SECTIONS or is_screen(dataset):
        return True
    original = text_of(dataset, "ImageType").upper().split("\\")[:2] == ["ORIGINAL", "PRIMARY"]
    return not original or text_of(dataset, "BurnedInAnnotation").upper() not in ("", "NO")


def text_of(dataset: Dataset, keyword: str) -> str:
    """The element's values as one text, empty when it cannot be read."""
    try:
        value = dataset.get(keyword)
    except UNREADABLE:
        return ""
    parts = value if isinstance(value, list) or hasattr(value, "insert") else [value]
    return "\\".join("" if part is None else str(part).strip(" \0") for part in parts)


def _refuse_without_option(sop_class_uid: str, policy: Policy) -> None:
    if policy.profile != "basic":
        raise CannotDeidentify("unsafe_sop_class", "the allow-list knows images only")
    if sop_class_uid in REPORTS and not policy.has(Option.CLEAN_STRUCTURED_CONTENT):
        raise CannotDeidentify("structured_content", "a report goes only with the option clean_structured_content")
