"""What a header says about an image, as plain values. A value nobody can read is as good as absent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from models.tolerant_reading import UNREADABLE, quietly

_AGE = re.compile(r"(\d{1,3})([DWMY])")
_YEARS_PER = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_OLDEST_YEARS = 120.0
#: Typed in where nobody knew the birth date; taking them for real would make a child a centenarian.
_FILLER_BIRTH_DATES = frozenset({date(1800, 1, 1), date(1900, 1, 1), date(1901, 1, 1)})
_VETERINARY = ("PatientBreedDescription", "PatientBreedCodeSequence", "PatientSexNeutered")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The elements that decide whether and how an image can be read. Absent text is ``""``, absent numbers 0.

    Code strings are upper case. ``patient_age_years`` is None when neither age nor dates are plausible.
    ``patient_species`` is ``""`` for people whose header, as usual, names no species.
    """

    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    modality: str = ""
    body_part_examined: str = ""
    view_position: str = ""
    patient_age_years: float | None = None
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    samples_per_pixel: int = 1
    bits_allocated: int = 0
    photometric_interpretation: str = ""
    patient_species: str = ""


def facts_of(dataset: Dataset) -> ImageFacts:
    """Read the facts of one instance. Never raises for a bad value."""
    meta = getattr(dataset, "file_meta", None) or Dataset()
    with quietly():
        return _facts(dataset, meta)


def _facts(dataset: Dataset, meta: Dataset) -> ImageFacts:
    return ImageFacts(
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        study_instance_uid=_text(dataset, "StudyInstanceUID"),
        sop_class_uid=_text(dataset, "SOPClassUID") or _text(meta, "MediaStorageSOPClassUID"),
        transfer_syntax_uid=_text(meta, "TransferSyntaxUID"),
        modality=_code(dataset, "Modality"),
        body_part_examined=_code(dataset, "BodyPartExamined"),
        view_position=_code(dataset, "ViewPosition"),
        patient_age_years=_age_years(dataset),
        rows=_number(dataset, "Rows", 0),
        columns=_number(dataset, "Columns", 0),
        number_of_frames=_number(dataset, "NumberOfFrames", 1),
        samples_per_pixel=_number(dataset, "SamplesPerPixel", 1),
        bits_allocated=_number(dataset, "BitsAllocated", 0),
        photometric_interpretation=_code(dataset, "PhotometricInterpretation"),
        patient_species=_species(dataset),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
        if isinstance(value, MultiValue):
            value = value[0] if len(value) else None
        return "" if value is None else str(value).strip(" \0")
    except UNREADABLE:
        return ""


def _code(dataset: Dataset, keyword: str) -> str:
    return _text(dataset, keyword).upper()


def _number(dataset: Dataset, keyword: str, default: int) -> int:
    try:
        return max(int(_text(dataset, keyword)), 0)
    except ValueError:
        return default


def _age_years(dataset: Dataset) -> float | None:
    """Patient's Age (PS3.5 6.2, AS: nnnD, nnnW, nnnM, nnnY), else the age at the study date."""
    written = _AGE.fullmatch(_code(dataset, "PatientAge"))
    if written is not None:
        years = int(written[1]) * _YEARS_PER[written[2]]
        if years <= _OLDEST_YEARS:
            return years
    born, studied = _date(dataset, "PatientBirthDate"), _date(dataset, "StudyDate")
    if born is None or studied is None or born in _FILLER_BIRTH_DATES:
        return None
    years = (studied - born).days / 365.25
    return years if 0.0 <= years <= _OLDEST_YEARS else None


def _date(dataset: Dataset, keyword: str) -> date | None:
    digits = _text(dataset, keyword).replace("-", "").replace(".", "")
    if len(digits) != 8 or not digits.isdigit():
        return None
    try:
        return datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None


def _species(dataset: Dataset) -> str:
    """Patient Species Description, else the code's meaning, else "animal" when there is veterinary data."""
    described = _code(dataset, "PatientSpeciesDescription")
    if described:
        return described
    try:
        coded = dataset.get("PatientSpeciesCodeSequence")
        if coded:
            return _code(coded[0], "CodeMeaning") or "UNNAMED SPECIES"
        return "ANIMAL" if any(dataset.get(keyword) for keyword in _VETERINARY) else ""
    except UNREADABLE:
        return ""
