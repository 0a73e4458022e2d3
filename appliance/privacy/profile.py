"""The Basic Profile of PS3.15 Annex E with its options, applied to one data set and all its sequences.

What the table marks is done as it says. What it does not mention the standard keeps; here it is kept only where it
cannot carry free text: numbers, coded strings, known codes, known words. Everything else is removed or replaced.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from appliance.privacy.codes import clean_code, is_code
from appliance.privacy.content import content_that_stays
from appliance.privacy.dummies import dummy, empty
from appliance.privacy.errors import UNREADABLE, CannotDeidentify
from appliance.privacy.policy import Option
from appliance.privacy.profile_table import Action, row_of
from appliance.privacy.pseudonyms import instance_uid, shifted_date
from appliance.privacy.safe_private import safe_private_value
from appliance.privacy.stay import Stay, parts_of
from appliance.privacy.words import REMOVED, is_known, known_words

_NUMBERS = frozenset({"AT", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UL", "US", "UV"})
_TEXT = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_CLEANED_TEXT = _TEXT | {"AE", "CS"}
_DATES = frozenset({"DA", "DT"})
_BINARY_OF_IMAGES: Final = re.compile("(Segmented)?(Red|Green|Blue|Alpha)PaletteColorLookupTableData|LUTData")
#: Made elsewhere, or of no use in a copy.
_LEFT_OUT = frozenset({"SpecificCharacterSet", "PixelData", "EncryptedAttributesSequence", "DeidentificationMethod"})
_CODED_STRING = re.compile(r"[A-Z0-9_ ]{0,16}")
#: Without these two options what they hold is not replaced by dummies but refused or left out.
_CONTENT, _GRAPHICS = 0x0040A730, 0x00700001
#: Curves and overlays: words drawn as dots are not told from other dots, so they go whole, with any option.
_BITMAPS = (0x50, 0x60)


def apply_profile(dataset: Dataset, stay: Stay) -> Dataset:
    """A new data set with what may stay of ``dataset``, items of sequences included; nothing is added.

    Raises CannotDeidentify (``structured_content``): a report, and its option was not chosen.
    """
    clean = Dataset()
    for tag in sorted(dataset.keys()):
        element = _read(dataset, tag)
        made = None if element is None else _made(element, dataset, stay)
        if made is not None:
            clean.add(made)
    return clean


def _read(dataset: Dataset, tag: Any) -> DataElement | None:
    try:
        found: DataElement = dataset[tag]
    except UNREADABLE:
        return None
    return found


def _made(element: DataElement, dataset: Dataset, stay: Stay) -> DataElement | None:
    tag = element.tag
    if tag.group <= 0x0007 or tag.element == 0 or element.keyword in _LEFT_OUT or tag.group >> 8 in _BITMAPS:
        return None
    row = row_of(int(tag))
    if row is None:
        return _unmentioned(element, stay)
    if tag.is_private:
        return safe_private_value(element, dataset) if stay.policy.has(Option.RETAIN_SAFE_PRIVATE) else None
    action = row.action(stay.policy.options)
    if action is Action.CLEAN and element.VR in _CLEANED_TEXT and not _any_known(element):
        action = row.action(())  # nothing is left of it, so it goes as without the option
    if element.VR == "SQ" and row.basic == "X/Z" and element.keyword != "AcquisitionContextSequence":
        action = Action.REMOVE  # empty is not valid for those that have to have items when they are there
    return _acted(element, action, stay)


def _acted(element: DataElement, action: Action, stay: Stay) -> DataElement | None:
    if element.tag == _CONTENT and action is Action.DUMMY:
        raise CannotDeidentify("structured_content", "a report goes only with the option clean_structured_content")
    if action is Action.REMOVE or (element.tag == _GRAPHICS and action is Action.DUMMY):
        return None
    if action is Action.EMPTY:
        return empty(element)
    if element.VR == "SQ":
        return _sequence(element, stay)
    if action is Action.DUMMY:
        return dummy(element) if element.VR != "UI" else _new_uids(element, stay)
    if action is Action.NEW_UID:
        return _new_uids(element, stay)
    return element if action is Action.KEEP else _cleaned(element, stay)


def _any_known(element: DataElement) -> bool:
    return any(known_words(str(part)) for part in parts_of(element.value))


def _cleaned(element: DataElement, stay: Stay) -> DataElement | None:
    """Values of similar meaning known not to identify: dates moved, text reduced to known words."""
    if element.VR in _DATES:
        return _with(element, [shifted_date(str(part), stay.days) for part in parts_of(element.value)])
    if element.VR == "UI":
        return _new_uids(element, stay)
    if element.VR in _CLEANED_TEXT:
        return _with(element, [known_words(str(part)) or REMOVED for part in parts_of(element.value)])
    return element if element.VR in ("TM", *_NUMBERS) else None


def _unmentioned(element: DataElement, stay: Stay) -> DataElement | None:
    """An element of the standard that the table does not mention."""
    if not element.keyword:  # of no standard that we know, or private
        return None
    if element.VR == "SQ":
        return _sequence(element, stay)
    if element.VR == "UI":
        return _new_uids(element, stay)
    if element.VR in (*_DATES, "TM"):
        return _cleaned(element, stay) if stay.policy.has(Option.RETAIN_MODIFIED_DATES) else empty(element)
    if element.VR == "CS":
        kept = all(_CODED_STRING.fullmatch(str(part)) for part in parts_of(element.value))
        return element if kept else _with(element, [REMOVED])
    if element.VR in _TEXT:
        known = all(is_known(str(part)) for part in parts_of(element.value))
        return element if known or element.is_empty else dummy(element)
    if str(element.VR).split(" ")[0] in _NUMBERS or _BINARY_OF_IMAGES.fullmatch(element.keyword):
        return element
    return None


def _sequence(element: DataElement, stay: Stay) -> DataElement:
    if element.keyword in ("ContentSequence", "AcquisitionContextSequence"):
        return _with(element, content_that_stays(element.value, stay, apply_profile))
    items = [clean_code(item) if is_code(item) else apply_profile(item, stay) for item in element.value]
    return DataElement(element.tag, "SQ", [item for item in items if len(item)])


def _new_uids(element: DataElement, stay: Stay) -> DataElement:
    if stay.policy.has(Option.RETAIN_UIDS):
        return element
    return _with(element, [instance_uid(str(part), stay.key) for part in parts_of(element.value)])


def _with(element: DataElement, values: list[Any]) -> DataElement:
    value = values[0] if len(values) == 1 and element.VR != "SQ" else values
    return DataElement(element.tag, element.VR, value or None, validation_mode=config.IGNORE)
