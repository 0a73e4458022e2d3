"""The elements that may leave the box and the values each may hold. Everything not named here is dropped.

A name can be typed into any text field, so text survives only when it is one of the words listed, and a
number only inside the range that its meaning allows. This is stricter and smaller than PS3.15 Annex E: of its
profile it keeps only the patient's sex and age. The profile itself is in profile.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from pydicom.multival import MultiValue
from pydicom.uid import UID

#: Given the element's value, what may be kept of it; None drops the element.
Rule = Callable[[Any], Any]
_closed: set[str] = set()


def one_of(words: str, *phrases: str) -> Rule:
    """Keep the value when every part, in upper case, is one of the blank-separated ``words`` or a phrase."""
    known = frozenset(words.split()) | frozenset(phrases)
    _closed.update(word for entry in known for word in entry.split())

    def keep(value: Any) -> Any:
        parts = [str(part).strip().upper() for part in _parts(value)]
        return _as_before(parts) if parts and all(part in known for part in parts) else None

    return keep


def number(low: float, high: float, count: tuple[int, int] = (1, 1)) -> Rule:
    """Keep ``count`` (least, most) finite decimal numbers between ``low`` and ``high``, at ten digits."""

    def keep(value: Any) -> Any:
        try:
            numbers = [float(part) for part in _parts(value)]
        except (TypeError, ValueError):
            return None
        inside = all(math.isfinite(one) and low <= one <= high for one in numbers)
        return _as_before([f"{one:.10g}" for one in numbers]) if inside and _fits(numbers, count) else None

    return keep


def whole(low: int, high: int, count: tuple[int, int] = (1, 1)) -> Rule:
    """Keep ``count`` (least, most) whole numbers between ``low`` and ``high``."""

    def keep(value: Any) -> Any:
        parts = _parts(value)
        if not all(re.fullmatch(r"[+-]?\d{1,10}", str(part).strip()) for part in parts):
            return None
        numbers = [int(str(part)) for part in parts]
        return _as_before(numbers) if all(low <= one <= high for one in numbers) and _fits(numbers, count) else None

    return keep


def standard_uid(value: Any) -> str | None:
    """Keep a UID that the standard itself defines (root 1.2.840.10008)."""
    text = str(value)
    return text if text.startswith("1.2.840.10008.") and UID(text).is_valid else None


def orientation(value: Any) -> Any:
    """Keep a Patient Orientation made of the letters the standard knows (PS3.3 C.7.6.1.1.1)."""
    parts = [str(part) for part in _parts(value)]
    return parts if len(parts) == 2 and all(re.fullmatch("[ALPRHF]{1,3}", part) for part in parts) else None


_ANY_16_BIT = (-65536, 65536)
_LUT_BYTES = 1 << 18

#: Image Pixel module (PS3.3 C.7.6.3) and what turns stored values into what is shown (C.11.1, C.11.2).
_PIXELS: dict[str, Rule] = {
    "SamplesPerPixel": whole(1, 3),
    "PhotometricInterpretation": one_of(
        "MONOCHROME1 MONOCHROME2 RGB YBR_FULL YBR_FULL_422 YBR_ICT YBR_RCT YBR_PARTIAL_420"
    ),
    "PlanarConfiguration": whole(0, 1),
    "NumberOfFrames": whole(1, 100_000),
    "Rows": whole(1, 65535),
    "Columns": whole(1, 65535),
    "PixelAspectRatio": whole(1, 10_000, (2, 2)),
    "BitsAllocated": whole(1, 64),
    "BitsStored": whole(1, 64),
    "HighBit": whole(0, 63),
    "PixelRepresentation": whole(0, 1),
    "PixelPaddingValue": whole(*_ANY_16_BIT),
    "PixelPaddingRangeLimit": whole(*_ANY_16_BIT),
    "RescaleIntercept": number(-1e6, 1e6),
    "RescaleSlope": number(-1e6, 1e6),
    "RescaleType": one_of("US HU OD MGML Z_EFF ED EDW HU_MOD PCT"),
    "WindowCenter": number(-1e6, 1e6, (1, 16)),
    "WindowWidth": number(0, 1e6, (1, 16)),
    "VOILUTFunction": one_of("LINEAR LINEAR_EXACT SIGMOID"),
    "PresentationLUTShape": one_of("IDENTITY INVERSE"),
    "PixelIntensityRelationship": one_of("LIN LOG DISP"),
    "PixelIntensityRelationshipSign": whole(-1, 1),
    "LossyImageCompression": one_of("00 01"),
    "LossyImageCompressionRatio": number(0, 1e5, (1, 8)),
    "LossyImageCompressionMethod": one_of("ISO_10918_1 ISO_14495_1 ISO_15444_1 ISO_15444_15 ISO_18181_1"),
}

#: What a model pack's scope asks for, and the technique a reader of the image needs.
_TECHNIQUE: dict[str, Rule] = {
    "SOPClassUID": standard_uid,
    "Modality": one_of("CR CT DX IO MG MR NM PT PX RF RG US XA"),
    "ImageType": one_of("ORIGINAL DERIVED PRIMARY SECONDARY AXIAL LOCALIZER M P PHASE MAGNITUDE ADC NORM OTHER", ""),
    "PresentationIntentType": one_of("", "FOR PRESENTATION", "FOR PROCESSING"),
    "BodyPartExamined": one_of(
        "ABDOMEN ABDOMENPELVIS ANKLE ARM BRAIN BREAST CHEST CHESTABDOMEN CLAVICLE COCCYX CSPINE ELBOW"
        " EXTREMITY FEMUR FINGER FOOT FOREARM HAND HEAD HEADNECK HEART HIP HUMERUS JAW KNEE LEG LSPINE LUNG"
        " NECK ORBIT PELVIS RIB SACRUM SHOULDER SKULL SPINE SSPINE STERNUM THORAX THUMB TOE TSPINE WHOLEBODY"
        " WRIST"
    ),
    "ViewPosition": one_of("AP PA LL RL LLD RLD LLO RLO RAO LAO RPO LPO LATERAL LAT XTABLE MLO CC ML LM"),
    "Laterality": one_of("L R"),
    "ImageLaterality": one_of("L R U B"),
    "PatientOrientation": orientation,
    "PatientSex": one_of("M F O"),
    "BurnedInAnnotation": one_of("NO"),
    "PixelSpacing": number(1e-4, 50.0, (2, 2)),
    "ImagerPixelSpacing": number(1e-4, 50.0, (2, 2)),
    "NominalScannedPixelSpacing": number(1e-4, 50.0, (2, 2)),
    "SliceThickness": number(0.0, 200.0),
    "ImageOrientationPatient": number(-1.0, 1.0, (6, 6)),
    "ImagePositionPatient": number(-5000.0, 5000.0, (3, 3)),
    "KVP": number(0.0, 500.0),
    "ExposureTime": whole(0, 100_000),
    "XRayTubeCurrent": whole(0, 5_000),
    "Exposure": whole(0, 10_000),
    "DistanceSourceToDetector": number(0.0, 10_000.0),
    "DistanceSourceToPatient": number(0.0, 10_000.0),
    "DetectorType": one_of("DIRECT SCINTILLATOR STORAGE FILM"),
}

#: What goes into De-identification Method (0012,0063).
METHOD = "Scanside allow-list 1"
ELEMENTS: dict[str, Rule] = {**_PIXELS, **_TECHNIQUE}
#: Every word that some element above may hold.
CLOSED_WORDS = frozenset(_closed)
#: Replaced by keyed UIDs.
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
#: Replaced by the pseudonym.
PSEUDONYMS = ("PatientID", "PatientName")
#: Type 2 in the modules of a radiograph: kept as elements, without their values.
EMPTIED = (
    "PatientBirthDate",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
    "Manufacturer",
)
#: The only sequences that survive, and what survives of their items.
SEQUENCES: dict[str, dict[str, Rule]] = {
    keyword: {"LUTDescriptor": whole(-65536, 65536, (3, 3)), "ModalityLUTType": one_of("OD HU US MGML")}
    for keyword in ("ModalityLUTSequence", "VOILUTSequence")
}


def lut_data_fits(data: Any) -> bool:
    """Whether LUT Data is no larger than the largest table the standard allows (65,536 entries)."""
    return len(data) <= _LUT_BYTES


def _parts(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _as_before(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else parts


def _fits(parts: list[Any], count: tuple[int, int]) -> bool:
    return count[0] <= len(parts) <= count[1]
