"""Values that stand for removed ones: valid for their VR, and the same for everybody."""

from __future__ import annotations

from typing import Any, Final

from pydicom import config
from pydicom.dataelem import DataElement

from appliance.privacy.words import REMOVED

_BY_VR: Final[dict[str, Any]] = {
    "AE": REMOVED,
    "AS": "000Y",
    "CS": REMOVED,
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "FD": 0.0,
    "FL": 0.0,
    "IS": "0",
    "LO": REMOVED,
    "LT": REMOVED,
    "PN": "Removed",
    "SH": REMOVED,
    "SL": 0,
    "SS": 0,
    "ST": REMOVED,
    "TM": "000000",
    "UC": REMOVED,
    "UL": 0,
    "UR": "urn:removed",
    "US": 0,
    "UT": REMOVED,
}


def dummy(element: DataElement) -> DataElement | None:
    """The element with a value that says nothing; None where no such value is known (binary data)."""
    value = _BY_VR.get(str(element.VR))
    return None if value is None else DataElement(element.tag, element.VR, value, validation_mode=config.IGNORE)


def empty(element: DataElement) -> DataElement:
    """The element without a value."""
    return DataElement(element.tag, element.VR, [] if element.VR == "SQ" else None, validation_mode=config.IGNORE)
