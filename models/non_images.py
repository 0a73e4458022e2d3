"""Which objects of a study are no pictures of the patient: they are neither read nor missed (PS3.4 B.5)."""

from __future__ import annotations

from pydicom.uid import UID

from models.image_facts import ImageFacts

_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: Families of SOP classes; some have pixels, but show a drawing, a dose or a label instead of the patient.
_FAMILIES = (
    _STORAGE + "88.",  # structured reports and key object selections
    _STORAGE + "11.",  # presentation states
    _STORAGE + "104.",  # encapsulated PDF, CDA and models
    _STORAGE + "9.",  # waveforms
    _STORAGE + "66.",  # registrations, fiducials, segmentations, tractography
    _STORAGE + "78.",  # ophthalmic measurements
    _STORAGE + "79.",
    _STORAGE + "80.",
    _STORAGE + "91.",  # microscopy annotations
    _STORAGE + "131",  # structured display
    _STORAGE + "200.",  # CT and XA protocols
    "1.2.840.10008.5.1.4.34.",  # work items and treatment records
    "1.2.840.10008.5.1.4.38.",  # hanging protocols
    "1.2.840.10008.5.1.4.39.",  # colour palettes
    "1.2.840.10008.5.1.4.43.",
    "1.2.840.10008.5.1.4.44.",
    "1.2.840.10008.5.1.4.45.",
)
_SINGLE = frozenset(
    {
        "1.2.840.10008.1.3.10",  # media directory
        _STORAGE + "4.2",  # MR spectroscopy
        _STORAGE + "30",  # parametric map
        _STORAGE + "66",  # raw data
        _STORAGE + "67",  # real world value mapping
        _STORAGE + "68.1",
        _STORAGE + "68.2",
    }
)
_RADIOTHERAPY, _RT_IMAGE = _STORAGE + "481.", _STORAGE + "481.1"


def is_no_image(facts: ImageFacts, has_pixels: bool) -> bool:
    """True for a known non-image SOP class, and for an object of another class with neither size nor pixels.

    An image class without pixels is *not* a non-image: something was lost on the way and must not pass
    unseen. The same holds for an object that does not say what it is.
    """
    sop_class = facts.sop_class_uid
    if sop_class.startswith(_RADIOTHERAPY):
        return sop_class != _RT_IMAGE
    if sop_class in _SINGLE or sop_class.startswith(_FAMILIES):
        return True
    if not sop_class or has_pixels or facts.rows or facts.columns:
        return False
    return "Image Storage" not in UID(sop_class).name
