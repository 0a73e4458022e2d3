"""What findings and the places they are read from are called in code: SNOMED CT first, RadLex beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from highdicom.sr import CodedConcept, FindingSite
from pydicom.dataset import Dataset

from appliance.results.reference import derived_uid, sound

PRIVATE_SCHEME = "99SCANSIDE"
RADLEX_UID = "2.16.840.1.113883.6.256"  # PS3.16 table 8-1


@dataclass(frozen=True, slots=True)
class KnownFinding:
    """A finding that packs name: its SNOMED CT code, and where there is one for the same concept, its RadLex code."""

    value: str
    meaning: str
    radlex: str = ""


#: By the name in the pack's manifest; any other name becomes a code of our own scheme.
FINDINGS = {
    "pneumonia": KnownFinding("233604007", "Pneumonia", "RID5350"),
    "pneumothorax": KnownFinding("36118008", "Pneumothorax", "RID5352"),
    "pleural_effusion": KnownFinding("60046008", "Pleural effusion", "RID34539"),
    "cardiomegaly": KnownFinding("8186001", "Cardiomegaly"),
    "tuberculosis": KnownFinding("56717001", "Tuberculosis"),
    "fracture": KnownFinding("125605004", "Fracture of bone", "RID4650"),
    "glioma": KnownFinding("393564001", "Glioma", "RID4026"),
    "meningioma": KnownFinding("302820008", "Intracranial meningioma", "RID4088"),
    "pituitary": KnownFinding("127024001", "Neoplasm of pituitary gland"),
    "malignant": KnownFinding("21594007", "Malignant"),
    "benign": KnownFinding("30807003", "Benign"),
}
#: Body Part Examined (PS3.16 Annex L) → SNOMED CT.
_SITES = {
    "CHEST": ("816094009", "Chest"),
    "BRAIN": ("12738006", "Brain"),
    "HEAD": ("69536005", "Head"),
    "BREAST": ("76752008", "Breast"),
}
_SIDES = {"R": ("24028007", "Right"), "L": ("7771000", "Left"), "B": ("51440002", "Bilateral")}


def finding_code(name: str) -> CodedConcept:
    """SNOMED CT where the finding is known to us, else a code of our private scheme made from its name.

    A RadLex code for the same concept stands beside it as an equivalent (PS3.3 8.9).
    """
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if slug not in FINDINGS:
        return own_code(slug, name.replace("_", " "))
    known = FINDINGS[slug]
    code = CodedConcept(known.value, "SCT", known.meaning)
    if known.radlex:
        code.EquivalentCodeSequence = [CodedConcept(known.radlex, "RADLEX", known.meaning)]
    return code


def own_code(value: str, meaning: str) -> CodedConcept:
    """A code of our private scheme; a value too long for Code Value is replaced by one that follows from it."""
    short = value.upper() if len(value) <= 16 else derived_uid(value)[-16:]
    return CodedConcept(short, PRIVATE_SCHEME, meaning[:64])


def finding_sites(image: Dataset) -> list[FindingSite] | None:
    """The body part that the image shows, as far as its header says; it is no location within it."""
    site = _SITES.get(sound(image, "BodyPartExamined") or "")
    if site is None:
        return None
    side = _SIDES.get(sound(image, "ImageLaterality") or sound(image, "Laterality") or "")
    laterality = CodedConcept(side[0], "SCT", side[1]) if side else None
    return [FindingSite(CodedConcept(site[0], "SCT", site[1]), laterality)]
