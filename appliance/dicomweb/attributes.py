"""Which attributes QIDO-RS knows at which level (PS3.18 tables 10.6.1-5 and 10.6.3-3 to -5)."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from pydicom.datadict import dictionary_VR, tag_for_keyword

DicomJson = dict[str, Any]


class Level(IntEnum):
    """A coarser level has a lower number."""

    STUDY = 0
    SERIES = 1
    INSTANCE = 2


#: Read out of files. The second line of each level is returned only if it is asked for by ``includefield``.
READ: Final[dict[Level, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    Level.STUDY: (
        (
            "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "TimezoneOffsetFromUTC",
            "StudyDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
            "StudyID",
        ),
        ("IssuerOfPatientID", "PatientAge", "InstitutionName"),
    ),
    Level.SERIES: (
        (
            "Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "PerformedProcedureStepStartDate",
            "PerformedProcedureStepStartTime",
        ),
        ("SeriesDate", "SeriesTime", "BodyPartExamined", "Laterality", "ProtocolName", "Manufacturer", "StationName"),
    ),
    Level.INSTANCE: (
        (
            "SOPClassUID", "SOPInstanceUID", "InstanceNumber", "Rows", "Columns", "BitsAllocated", "NumberOfFrames",
        ),
        ("ImageType", "AcquisitionNumber", "ContentDate", "ContentTime", "ViewPosition"),
    ),
}  # fmt: skip

#: Counted by the database, and so always as they are now.
COUNTED: Final[dict[Level, tuple[str, ...]]] = {
    Level.STUDY: (
        "InstanceAvailability", "ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances", "RetrieveURL",
    ),
    Level.SERIES: ("NumberOfSeriesRelatedInstances", "RetrieveURL"),
    Level.INSTANCE: ("InstanceAvailability", "AvailableTransferSyntaxUID", "RetrieveURL"),
}  # fmt: skip


def key_of(keyword: str) -> str:
    """The keyword's tag as DICOM JSON writes it: ``StudyDate`` → ``00080020``."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return f"{tag:08X}"


def level_keys(level: Level, *, all_of_it: bool = False) -> frozenset[str]:
    """The tags that an answer at this level has of the level's own attributes."""
    usual, more = READ[level]
    return frozenset(key_of(keyword) for keyword in (*usual, *COUNTED[level], *(more if all_of_it else ())))


#: Every attribute that can be asked for, by its tag.
KNOWN: Final[dict[str, str]] = {
    key_of(keyword): keyword
    for level in Level
    for keyword in (*READ[level][0], *READ[level][1], *COUNTED[level])
}  # fmt: skip
#: What cannot be matched: it is the same for all that is held, or says where to get it.
_NOT_MATCHED: Final = frozenset({key_of("RetrieveURL"), key_of("InstanceAvailability")})
_LEVEL_OF: Final[dict[str, Level]] = {
    key: level for level in reversed(Level) for key in level_keys(level, all_of_it=True)
}


def can_be_matched(key: str, level: Level) -> bool:
    """Whether a search at ``level`` takes this tag as a matching key: those of its own level and above."""
    return key in KNOWN and key not in _NOT_MATCHED and _LEVEL_OF[key] <= level


def element(keyword: str, *values: Any) -> DicomJson:
    """One element of DICOM JSON under its tag; without values it is empty."""
    made: DicomJson = {"vr": dictionary_VR(keyword)}
    if values:
        made["Value"] = list(values)
    return {key_of(keyword): made}
