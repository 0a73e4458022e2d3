"""What names a patient, or somebody or something around them, as it stands in the originals of a study.

Made for the check of what is about to leave. It shares no code with what de-identifies, so that one cannot be wrong
with the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from appliance.privacy.policy import Option, Policy

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, IndexError, OverflowError)
#: Parts of names may be as short as two letters.
_SHORTEST_WORD: Final = 3
#: Shorter numbers are part of too many others.
_SHORTEST_NUMBER: Final = 5


class Kind(StrEnum):
    """What an identifier is; shown in place of its value."""

    NAME = "a name"
    NUMBER = "a number of the patient's or the study's"
    DATE = "a date"
    PLACE = "a place or an institution"
    DEVICE = "a device"
    UID = "a UID"


_NUMBER_KEYWORDS = """
 PatientID OtherPatientIDs AccessionNumber StudyID AdmissionID ServiceEpisodeID IssuerOfPatientID
 PatientTelephoneNumbers RequestedProcedureID ScheduledProcedureStepID PerformedProcedureStepID
 FillerOrderNumberImagingServiceRequest PlacerOrderNumberImagingServiceRequest
 MedicalRecordLocator InsurancePlanIdentification ClinicalTrialSubjectID
"""
_PLACE_KEYWORDS = """
 InstitutionName InstitutionAddress InstitutionalDepartmentName PatientAddress CountryOfResidence RegionOfResidence
 CurrentPatientLocation PatientInstitutionResidence RequestingService ClinicalTrialSiteName ClinicalTrialSiteID
 PerformedLocation
"""
_DEVICE_KEYWORDS = "StationName DeviceSerialNumber DetectorID GantryID PlateID CassetteID PerformedStationName"
_NUMBERS: Final = frozenset(_NUMBER_KEYWORDS.split())
_PLACES: Final = frozenset(_PLACE_KEYWORDS.split())
_DEVICES: Final = frozenset(_DEVICE_KEYWORDS.split())
_WORDS = re.compile(r"[^\W_]+")


@dataclass
class Identifiers:
    """The identifiers of one or more originals; words and numbers in lower case without accents."""

    words: dict[str, Kind] = field(default_factory=dict)
    numbers: dict[str, Kind] = field(default_factory=dict)
    uids: dict[str, Kind] = field(default_factory=dict)

    def add(self, others: Identifiers) -> None:
        """Take in those of another instance of the study."""
        self.words |= others.words
        self.numbers |= others.numbers
        self.uids |= others.uids


def folded(text: str) -> str:
    """Lower case, without accents, as one would search for it."""
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part)).casefold()


def identifiers_of(dataset: Dataset, policy: Policy) -> Identifiers:
    """What in ``dataset``, items of sequences included, must not leave under ``policy``.

    UIDs and devices are none where their option retains them.
    """
    found = Identifiers()
    for element in _every(dataset):
        for value in _values(element):
            _note(found, element, value, policy)
    return found


def _note(found: Identifiers, element: DataElement, value: str, policy: Policy) -> None:
    if element.VR == "UI":
        if not value.startswith("1.2.840.10008.") and len(value) > 9 and not policy.has(Option.RETAIN_UIDS):
            found.uids[value] = Kind.UID
    elif element.VR in ("DA", "DT"):
        _note_date(found, value)
    elif element.VR == "PN":
        _note_words(found, value, Kind.NAME)
    elif element.keyword in _NUMBERS:
        _note_words(found, value, Kind.NUMBER)
    elif element.keyword in _PLACES:
        _note_words(found, value, Kind.PLACE)
    elif element.keyword in _DEVICES and not policy.has(Option.RETAIN_DEVICE_IDENTITY):
        _note_words(found, value, Kind.DEVICE)


def _note_words(found: Identifiers, value: str, kind: Kind) -> None:
    for word in _WORDS.findall(folded(value)):
        if word.isdecimal():
            if len(word) >= _SHORTEST_NUMBER:
                found.numbers[word] = kind
        elif len(word) >= (2 if kind is Kind.NAME else _SHORTEST_WORD):
            found.words[word] = kind
    whole = folded(value).strip()
    if kind is Kind.NUMBER and any(sign.isdecimal() for sign in whole) and len(whole) >= _SHORTEST_NUMBER:
        found.words[whole] = kind


def _note_date(found: Identifiers, value: str) -> None:
    digits = re.match(r"\d{8}", value.replace(".", ""))
    if digits and digits[0] not in ("19000101", "00010101"):
        year, month, day = digits[0][:4], digits[0][4:6], digits[0][6:]
        for form in (digits[0], f"{year}-{month}-{day}", f"{day}.{month}.{year}", f"{month}/{day}/{year}"):
            found.numbers[form] = Kind.DATE


def _every(dataset: Dataset) -> Iterator[DataElement]:
    for tag in list(dataset.keys()):
        try:
            element = dataset[tag]
        except _UNREADABLE:
            continue
        yield element
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _every(item)


def _values(element: DataElement) -> Iterable[str]:
    if element.VR in ("SQ", "OB", "OW", "UN", "OF", "OD", "OL", "OV") or element.value is None:
        return ()
    value: Any = element.value
    parts = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "insert") else [value]
    return [str(part).strip(" \0") for part in parts if part is not None]
