"""One instance without its patient: built anew from the allow-list, never edited, or refused.

Pseudonyms are keyed: the same site key gives the same pseudonym and UIDs for ever, and without the key nobody
can try names against them.
"""

from __future__ import annotations

import base64
import hmac
import math
import struct
import warnings
from pathlib import Path
from typing import Any

from pydicom import config, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    MRImageStorage,
)

from appliance.privacy.allow_list import ELEMENTS, EMPTIED, SEQUENCES, UIDS, Rule, lut_data_fits
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.fates import ElementFate, report
from appliance.privacy.pixel_data import clean_pixels
from appliance.results.reference import uid_from_digest
from models.image_facts import facts_of

METHOD = "Scanside allow-list 1"
#: Acquired images. Captures, documents and ultrasound carry words in their pixels as a rule.
SAFE_SOP_CLASSES = frozenset(
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
_SCREEN_IMAGE_TYPES = frozenset({"SCREEN SAVE", "SCREENSAVE", "DOSE_INFO", "REPORT", "RESULT", "CSAPARALLEL"})
_HUMAN = ("HUMAN", "HOMO SAPIENS", "HUMAN, HOMO SAPIENS")
_NEEDED = ("SOPClassUID", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated")
_NEEDED_TOO = ("BitsStored", "HighBit", "PixelRepresentation")
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    NotImplementedError,
    IndexError,
    OverflowError,
)


def deidentify(dataset: Dataset, key: bytes, also_allowed: frozenset[str] = frozenset()) -> Dataset:
    """A new data set with what the allow-list lets through, pseudonymous UIDs and identity, and clean pixels.

    Args:
        dataset: an instance with its file meta information; not changed.
        key: the site key, at least 32 bytes.
        also_allowed: SOP classes beyond SAFE_SOP_CLASSES whose pixels the site knows to carry no words.

    Raises CannotDeidentify when the instance is of a class that may carry words in its pixels, says that it
    does, or cannot be read; ValueError when the key is too short.
    """
    if len(key) < 32:
        raise ValueError("the site key must have at least 32 bytes")
    with warnings.catch_warnings():
        # Tolerant when reading: what pydicom remarks on does not survive anyway.
        warnings.simplefilter("ignore")
        _refuse_unsafe(dataset, also_allowed)
        clean = Dataset()
        _copy(dataset, clean, ELEMENTS)
        missing = [keyword for keyword in (*_NEEDED, *_NEEDED_TOO) if keyword not in clean]
        if missing:
            raise CannotDeidentify("unreadable_pixels", f"missing or not allowed: {', '.join(missing)}")
        _copy_tables(dataset, clean)
        _identity(dataset, clean, key)
        _pixels(dataset, clean)
    return clean


def deidentify_path(source: Path, target: Path, key: bytes) -> list[ElementFate]:
    """De-identify one Part 10 file into another and say what became of each element.

    Raises CannotDeidentify (also ``not_dicom``) and then writes nothing; OSError when a file cannot be used.
    """
    before = read_instance(source)
    after = deidentify(before, key)
    dcmwrite(target, after, enforce_file_format=True)
    return report(before, after)


def read_instance(path: Path, *, pixels: bool = True) -> Dataset:
    """The Part 10 file at ``path``. Raises CannotDeidentify (``not_dicom``) when it is none, and OSError."""
    try:
        return dcmread(path, stop_before_pixels=not pixels)
    except (InvalidDicomError, EOFError, struct.error, *_UNREADABLE) as error:
        raise CannotDeidentify("not_dicom", "the file is not a DICOM Part 10 file") from error


def pseudonym(dataset: Dataset, key: bytes) -> str:
    """The keyed stand-in for Patient ID, or for the study where there is none: patients are never merged."""
    patient_id = _text(dataset, "PatientID")
    name = f"patient\0{patient_id}" if patient_id else f"study\0{_text(dataset, 'StudyInstanceUID')}"
    return "PSN-" + base64.b32encode(_keyed(key, name))[:16].decode()


def pseudonymous_uid(original: str, key: bytes) -> str:
    """The keyed ``2.25.`` stand-in for a UID: equal UIDs stay equal, so a study stays together."""
    return uid_from_digest(_keyed(key, f"uid\0{original}"))


def age_string(years: float | None) -> str:
    """Patient's Age as nnnD, nnnM or nnnY; over 89 becomes 090Y, so that the very old cannot be told
    apart."""
    if years is None:
        return ""
    if years >= 90:
        return "090Y"
    if years >= 2:
        return f"{math.floor(years + 1e-6):03d}Y"
    months = math.floor(years * 12 + 1e-6)
    return f"{months:03d}M" if months else f"{math.floor(years * 365.25 + 1e-6):03d}D"


def _refuse_unsafe(dataset: Dataset, also_allowed: frozenset[str]) -> None:
    sop_class_uid = _text(dataset, "SOPClassUID")
    if sop_class_uid not in SAFE_SOP_CLASSES | also_allowed:
        raise CannotDeidentify("unsafe_sop_class", "instances of this SOP class may carry words in their pixels")
    if _text(dataset, "BurnedInAnnotation").upper() not in ("", "NO"):
        raise CannotDeidentify("burned_in_annotation", "the instance says that its pixels name the patient")
    types = {part.strip().upper() for part in _text(dataset, "ImageType").split("\\")}
    if types & _SCREEN_IMAGE_TYPES:
        raise CannotDeidentify("screen_capture", "the image type is that of a screen, not of an acquisition")
    if "ConversionType" in dataset and sop_class_uid not in also_allowed:
        raise CannotDeidentify("screen_capture", "the image was captured or digitised, not acquired")


def _copy(source: Dataset, target: Dataset, rules: dict[str, Rule]) -> None:
    for keyword, rule in rules.items():
        value = rule(_value(source, keyword))
        if value is not None:
            target.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.IGNORE))


def _copy_tables(source: Dataset, target: Dataset) -> None:
    for keyword, rules in SEQUENCES.items():
        items = []
        for item in _value(source, keyword) or []:
            kept = Dataset()
            _copy(item, kept, rules)
            data = item.get("LUTData")
            if "LUTDescriptor" not in kept or data is None or not lut_data_fits(data):
                raise CannotDeidentify("unreadable_pixels", "a lookup table of the image is malformed")
            kept.add_new("LUTData", item["LUTData"].VR, data)
            items.append(kept)
        if items:
            setattr(target, keyword, items)


def _identity(source: Dataset, target: Dataset, key: bytes) -> None:
    for keyword in EMPTIED:
        target.add_new(keyword, dictionary_VR(keyword), None)
    for keyword in UIDS:
        original = _text(source, keyword)
        if not original:
            raise CannotDeidentify("no_uid", f"{keyword} is missing")
        setattr(target, keyword, pseudonymous_uid(original, key))
    target.PatientID = target.PatientName = pseudonym(source, key)
    facts = facts_of(source)
    target.PatientAge = age_string(facts.patient_age_years)
    if facts.patient_species:
        human = facts.patient_species in _HUMAN
        target.PatientSpeciesDescription = "Homo sapiens" if human else "Animal"
    target.PatientIdentityRemoved = "YES"
    target.DeidentificationMethod = METHOD
    target.LongitudinalTemporalInformationModified = "REMOVED"


def _pixels(source: Dataset, target: Dataset) -> None:
    if not source.get("PixelData"):
        raise CannotDeidentify("no_pixel_data", "the instance has no integer Pixel Data")
    # The description that survived, not the sender's, says how the pixels are to be read.
    described = Dataset()
    described.update(target)
    described["PixelData"] = source["PixelData"]
    described.file_meta = source.file_meta
    clean = clean_pixels(described)
    if clean.by_pixel and "PlanarConfiguration" in target:
        target.PlanarConfiguration = 0
    target.add_new("PixelData", clean.vr, clean.data)
    target.file_meta = FileMetaDataset()
    target.file_meta.MediaStorageSOPClassUID = target.SOPClassUID
    target.file_meta.MediaStorageSOPInstanceUID = target.SOPInstanceUID
    target.file_meta.TransferSyntaxUID = clean.transfer_syntax_uid


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except _UNREADABLE:
        return None


def _text(dataset: Dataset, keyword: str) -> str:
    value = _value(dataset, keyword)
    parts = value if isinstance(value, list) or hasattr(value, "insert") else [value]
    return "\\".join("" if part is None else str(part).strip(" \0") for part in parts)


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
