"""What a result takes over from the study it belongs to, and the UIDs that follow from it.

Senders leave elements out, empty or malformed. A result must neither fail on that nor repeat it, so patient
and study elements are copied one by one; a value that breaks its own value representation is left out.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import uuid
import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from pydicom import config, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, EncapsulatedPDFStorage, SecondaryCaptureImageStorage
from pydicom.valuerep import validate_value

#: What files a result under its patient: kept even when malformed, the archive knows the original by it.
_IDENTIFIERS = ("PatientName", "PatientID", "AccessionNumber", "StudyID", "ReferringPhysicianName")
#: With the identifiers, the type 2 elements of Patient and General Study (PS3.3 C.7.1.1, C.7.2.1).
_REQUIRED = ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime")
_OPTIONAL = (
    "IssuerOfPatientID",
    "StudyDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientSpeciesDescription",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "TimezoneOffsetFromUTC",
)
#: Type 2C for a patient that is an animal: there, empty when unknown (PS3.3 C.7.1.1, C.7.2.2).
_OF_ANIMALS = (
    "PatientBreedDescription",
    "ResponsiblePerson",
    "ResponsibleOrganization",
    "PatientSexNeutered",
)
_CODES_OF_ANIMALS = ("PatientBreedCodeSequence", "BreedRegistrationSequence")
_NAMESPACE = "scanside"
_SEXES = ("M", "F", "O")


def derived_uid(*parts: object) -> str:
    """A ``2.25.`` UID (PS3.5 B.2) that follows from ``parts`` alone: a repeated result keeps its UID."""
    digest = hashlib.sha256("\x1f".join([_NAMESPACE, *map(str, parts)]).encode()).digest()
    return uid_from_digest(digest)


def uid_from_digest(digest: bytes) -> str:
    """The first 16 bytes of ``digest`` as a UUID of version 8 (RFC 9562) in ``2.25.`` form."""
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"2.25.{uuid.UUID(int=number).int}"


def study_reference(sources: Sequence[Dataset], study_instance_uid: str) -> Dataset:
    """Patient and study elements of the first source; type 2 elements present, malformed values left out.

    Text is re-encoded as UTF-8, so names survive whatever character set the sender used.
    Raises ValueError when ``sources`` is empty.
    """
    if not sources:
        raise ValueError("a result needs at least one instance of its study")
    reference = Dataset()
    reference.SpecificCharacterSet = "ISO_IR 192"
    reference.StudyInstanceUID = study_instance_uid
    for keyword in _IDENTIFIERS:
        value = _decoded(sources[0], keyword)
        reference.add(DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.IGNORE))
    for keyword in _REQUIRED:
        setattr(reference, keyword, sound(sources[0], keyword) or "")
    for keyword in _OPTIONAL:
        if value := sound(sources[0], keyword):
            setattr(reference, keyword, value)
    if reference.PatientSex not in _SEXES:
        reference.PatientSex = ""
    if reference.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in reference:
        reference.DeidentificationMethod = "Not stated by the sender"  # type 1C, PS3.3 C.7.1.1
    if "PatientSpeciesDescription" in reference:
        _describe_animal(sources[0], reference)
    return reference


def is_image(dataset: Dataset) -> bool:
    """Whether ``dataset`` describes pixels; encapsulated documents and reports do not."""
    return "Rows" in dataset and "Columns" in dataset and dataset.get("SOPClassUID") != EncapsulatedPDFStorage


def can_be_referenced(dataset: Dataset) -> bool:
    """Whether the UIDs that a reference needs (PS3.3 10.8) are there and are UIDs."""
    needed = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
    return all(UID(str(dataset.get(keyword) or "")).is_valid for keyword in needed)


def evidence_of(source: Dataset, study_instance_uid: str) -> Dataset:
    """The UIDs of one instance, and the patient and study elements highdicom insists on, empty.

    Its SOP class is a stand-in, because highdicom cannot build on a retired or private one: see :func:`name_classes`.
    """
    evidence = study_reference([Dataset()], study_instance_uid)
    evidence.SOPClassUID, evidence.SOPInstanceUID = SecondaryCaptureImageStorage, str(source.SOPInstanceUID)
    evidence.SeriesInstanceUID = str(source.SeriesInstanceUID)
    return evidence


def name_classes(document: Dataset, sources: Sequence[Dataset]) -> None:
    """Put the true SOP classes into the evidence of a document that was built on :func:`evidence_of`."""
    classes = {str(one.SOPInstanceUID): str(one.SOPClassUID) for one in sources}
    for study in document.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                item.ReferencedSOPClassUID = classes[str(item.ReferencedSOPInstanceUID)]


def local_time(epoch_s: float, reference: Dataset) -> datetime.datetime:
    """``epoch_s`` in the zone that the original images name (0008,0201), in UTC when they name none.

    The answer has no zone attached: in DICOM the zone of a whole object is the one element.
    """
    offset = datetime.timedelta()
    named = str(reference.get("TimezoneOffsetFromUTC") or "")
    if len(named) == 5 and named[0] in "+-" and named[1:].isdigit():
        minutes = int(named[1:3]) * 60 + int(named[3:])
        offset = datetime.timedelta(minutes=-minutes if named[0] == "-" else minutes)
    moment = datetime.datetime.fromtimestamp(epoch_s, datetime.UTC) + offset
    return moment.replace(tzinfo=None, microsecond=0)


def orientation_of(dataset: Dataset) -> list[str]:
    """Patient Orientation (PS3.3 C.7.6.1.1.1) of an image, empty when unknown or malformed."""
    value = _decoded(dataset, "PatientOrientation")
    sound = isinstance(value, list) and len(value) == 2 and all(set(one) <= set("ALPRHF") for one in value)
    return value if sound and all(1 <= len(one) <= 3 for one in value) else []


def numbers_of(dataset: Dataset, keyword: str, count: int) -> list[float] | None:
    """The values of one element as finite numbers, None unless there are exactly ``count``."""
    value = _decoded(dataset, keyword)
    try:
        numbers = [float(one) for one in (value if isinstance(value, list) else [value])]
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(math.isfinite(one) for one in numbers) else None


def take_over(document: Dataset, reference: Dataset) -> None:
    """Put every element of ``reference`` into ``document``, replacing what a constructor put there."""
    for element in reference:
        document[element.tag] = element


def as_file(document: Dataset, moment: datetime.datetime) -> bytes:
    """The Part 10 file of a finished document, made at ``moment``: the same for every repetition.

    What highdicom stamped with the clock of this moment is replaced.
    """
    document.InstanceCreationDate, document.InstanceCreationTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    for item in document.get("ContributingEquipmentSequence", []):
        item.ContributionDateTime = moment.strftime("%Y%m%d%H%M%S")
    buffer = BytesIO()
    dcmwrite(buffer, document, enforce_file_format=True)
    return buffer.getvalue()


def _describe_animal(source: Dataset, reference: Dataset) -> None:
    for keyword in _OF_ANIMALS:
        setattr(reference, keyword, sound(source, keyword) or "")
    for keyword in _CODES_OF_ANIMALS:
        setattr(reference, keyword, [])
    if reference.ResponsiblePerson:
        reference.ResponsiblePersonRole = sound(source, "ResponsiblePersonRole") or "OWNER"


def _decoded(dataset: Dataset, keyword: str) -> Any:
    """The value as decoded with the sender's character set; empty when it cannot be read at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tolerant when reading: pydicom's remarks about the sender's values
        try:
            value = dataset.get(keyword)
        except (ValueError, TypeError, NotImplementedError, OverflowError, LookupError):
            return ""
    if value is None or isinstance(value, (bytes, Dataset)):
        return ""
    return [str(one) for one in value] if isinstance(value, MultiValue) else str(value)


def sound(dataset: Dataset, keyword: str) -> str | None:
    """The value of one element if it is single and obeys its value representation (PS3.5 6.2)."""
    value = _decoded(dataset, keyword)
    if not isinstance(value, str):
        return None
    try:
        validate_value(dictionary_VR(keyword), value, validation_mode=config.RAISE)
    except ValueError:
        return None
    return value
