"""One instance without its patient: built anew by the allow-list or by PS3.15 Annex E, never edited, or refused.

Pseudonyms are keyed: the same site key gives the same pseudonym and UIDs for ever, and without the key nobody
can try names against them.
"""

from __future__ import annotations

import errno
import math
import struct
import warnings
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID, ExplicitVRLittleEndian

from appliance.privacy.burned_in import without_words
from appliance.privacy.compress import part_10
from appliance.privacy.errors import UNREADABLE, CannotDeidentify
from appliance.privacy.fates import ElementFate, report
from appliance.privacy.identifiers import identifiers_of
from appliance.privacy.kinds import has_pixels, must_be_searched, refuse_unsafe, text_of
from appliance.privacy.known import apply_allow_list
from appliance.privacy.outgoing import require_nothing_of
from appliance.privacy.pixel_data import clean_pixels
from appliance.privacy.policy import DEFAULT_POLICY, Option, Policy
from appliance.privacy.profile import apply_profile
from appliance.privacy.pseudonyms import patient_pseudonym, pseudonymous_uid, shift_days
from appliance.privacy.stay import Stay
from models.image_facts import facts_of

__all__ = ["age_string", "deidentify", "deidentify_path", "pseudonym", "pseudonymous_uid", "read_instance"]

_NEEDED: Final = (
    "SOPClassUID",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)
_KEPT_UIDS: Final = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


def deidentify(dataset: Dataset, key: bytes, policy: Policy = DEFAULT_POLICY) -> Dataset:
    """A new data set with what the policy lets through, pseudonymous UIDs and identity, and clean pixels.

    Args:
        dataset: an instance with its file meta information; not changed.
        key: the site key, at least 32 bytes.
        policy: the profile and its options.

    Raises CannotDeidentify when the instance is of a class that may carry words in its pixels, says that it
    does, or cannot be read; ValueError when the key is too short.
    """
    if len(key) < 32:
        raise ValueError("the site key must have at least 32 bytes")
    with warnings.catch_warnings():
        # Tolerant when reading: what pydicom remarks on does not survive anyway.
        warnings.simplefilter("ignore")
        refuse_unsafe(dataset, policy)
        for keyword in _KEPT_UIDS:
            if not text_of(dataset, keyword):
                raise CannotDeidentify("no_uid", f"{keyword} is missing")
        try:
            clean = _header(dataset, key, policy)
        except (struct.error, *UNREADABLE) as error:
            raise CannotDeidentify("unreadable_header", f"the header is malformed ({type(error).__name__})") from error
        searched = False
        if has_pixels(text_of(dataset, "SOPClassUID")):
            searched = _pixels(dataset, clean, policy)
        else:
            _file_meta(clean, ExplicitVRLittleEndian)
        _identity(dataset, clean, key)
        _say_how(clean, policy, searched)
    return clean


def deidentify_path(source: Path, target: Path, key: bytes, policy: Policy = DEFAULT_POLICY) -> list[ElementFate]:
    """De-identify one Part 10 file into another and say what became of each element.

    Raises CannotDeidentify (also ``not_dicom`` and ``identifier_left``) and then writes nothing; OSError when a file
    cannot be used.
    """
    before = read_instance(source)
    after = deidentify(before, key, policy)
    written = part_10(after)
    require_nothing_of(identifiers_of(before, policy), written)
    target.write_bytes(written)
    return report(before, after)


def read_instance(path: Path, *, pixels: bool = True) -> Dataset:
    """The Part 10 file at ``path``. Raises CannotDeidentify (``not_dicom``) when it is none, and OSError."""
    try:
        with path.open("rb") as file:
            return dcmread(file, stop_before_pixels=not pixels)
    except (InvalidDicomError, EOFError, struct.error, *UNREADABLE) as error:
        raise CannotDeidentify("not_dicom", "the file is not a DICOM Part 10 file") from error
    except OSError as error:
        if error.errno != errno.EBADMSG:
            raise
        raise CannotDeidentify("not_dicom", "the file is damaged") from error


def pseudonym(dataset: Dataset, key: bytes) -> str:
    """The keyed stand-in for Patient ID, or for the study where there is none: patients are never merged."""
    return patient_pseudonym(text_of(dataset, "PatientID"), text_of(dataset, "StudyInstanceUID"), key)


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


def _header(dataset: Dataset, key: bytes, policy: Policy) -> Dataset:
    """Everything but the pixels, the patient and what was done."""
    if policy.profile == "known":
        clean = apply_allow_list(dataset, key)
        clean.PatientAge = age_string(facts_of(dataset).patient_age_years)
        return clean
    days = shift_days(text_of(dataset, "PatientID"), text_of(dataset, "StudyInstanceUID"), key)
    clean = apply_profile(dataset, Stay(policy, key, days))
    if "PatientAge" in clean:
        clean.PatientAge = age_string(facts_of(dataset).patient_age_years)
    clean.SpecificCharacterSet = "ISO_IR 192"
    return clean


def _identity(source: Dataset, target: Dataset, key: bytes) -> None:
    target.PatientID = target.PatientName = pseudonym(source, key)
    target.file_meta.MediaStorageSOPClassUID = target.SOPClassUID
    target.file_meta.MediaStorageSOPInstanceUID = target.SOPInstanceUID


def _say_how(target: Dataset, policy: Policy, searched: bool) -> None:
    """What was done, in the elements the standard has for it (PS3.15 E.2, PS3.3 C.7.1.1, C.7.6.1)."""
    target.PatientIdentityRemoved = "YES"
    target.DeidentificationMethod = policy.method
    codes = []
    for value, meaning in policy.method_codes(searched):
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
        codes.append(code)
    target.DeidentificationMethodCodeSequence = codes
    moved = policy.profile == "basic" and policy.has(Option.RETAIN_MODIFIED_DATES)
    target.LongitudinalTemporalInformationModified = "MODIFIED" if moved else "REMOVED"
    if searched:
        target.BurnedInAnnotation = "NO"


def _pixels(source: Dataset, target: Dataset, policy: Policy) -> bool:
    """Put the clean pixels into ``target``. True when they were searched for words."""
    missing = [keyword for keyword in _NEEDED if keyword not in target]
    if missing:
        raise CannotDeidentify("unreadable_pixels", f"missing or not allowed: {', '.join(missing)}")
    if not source.get("PixelData"):
        raise CannotDeidentify("no_pixel_data", "the instance has no integer Pixel Data")
    # The description that survived, not the sender's, says how the pixels are to be read.
    described = Dataset()
    described.update(target)
    described["PixelData"] = source["PixelData"]
    described.file_meta = source.file_meta
    clean, searched = clean_pixels(described), policy.has(Option.CLEAN_PIXEL_DATA) and must_be_searched(source)
    if searched:
        without = without_words(clean, described, source, policy.most_frames)
        clean, target.PhotometricInterpretation = without.pixels, without.photometric_interpretation
    if clean.by_pixel and "PlanarConfiguration" in target:
        target.PlanarConfiguration = 0
    target.add_new("PixelData", clean.vr, clean.data)
    _file_meta(target, clean.transfer_syntax_uid)
    return searched


def _file_meta(target: Dataset, transfer_syntax_uid: UID) -> None:
    target.file_meta = FileMetaDataset()
    target.file_meta.TransferSyntaxUID = transfer_syntax_uid
