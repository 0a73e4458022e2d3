"""Which conditions hold for a header.

A condition stands under one DICOM keyword (PS3.6). ``true`` and ``false`` ask whether the element has a value at all; a
text may have the wild cards ``*`` and ``?`` (PS3.4 C.2.2.2.4) and does not look at upper and lower case; a number is
compared as a number; a list holds when one of its values does; a table is asked of each item of a sequence. Of an
element with several values one is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from models.tolerant_reading import UNREADABLE, quietly

_META_GROUP = 0x0002


class _Unreadable:
    """Stands for a value that nobody can read: it is there, and it equals nothing."""


def first_unmet(conditions: Mapping[str, Any], dataset: Dataset) -> str | None:
    """The keyword of the first condition that does not hold; None when all hold."""
    return next((keyword for keyword, wanted in conditions.items() if not _holds(dataset, keyword, wanted)), None)


def values_of(dataset: Dataset, keyword: str) -> list[Any]:
    """The values of one element as texts without padding, or the items of a sequence; empty when it has none."""
    tag = tag_for_keyword(keyword)
    holder = getattr(dataset, "file_meta", None) if tag is not None and tag >> 16 == _META_GROUP else dataset
    if tag is None or holder is None or tag not in holder:
        return []
    try:
        with quietly():
            return _as_list(holder[tag].value)
    except (*UNREADABLE, LookupError):
        return [_Unreadable()]


def is_like(text: str, wanted: str) -> bool:
    """Whether a text fits one with wild cards, in any case."""
    pattern = wanted.strip().casefold().replace("[", "[[]")  # sets of characters are not among DICOM's wild cards
    return fnmatchcase(text.casefold(), pattern)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, Sequence):
        return list(value)
    if isinstance(value, bytes):
        return [_Unreadable()] if value else []
    several = value if isinstance(value, MultiValue | list | tuple) else [value]
    texts = ("" if one is None else str(one).strip(" \0") for one in several)
    return [text for text in texts if text]


def _holds(dataset: Dataset, keyword: str, wanted: Any) -> bool:
    values = values_of(dataset, keyword)
    if isinstance(wanted, bool):
        return wanted is bool(values)
    if isinstance(wanted, Mapping):
        return any(isinstance(item, Dataset) and first_unmet(wanted, item) is None for item in values)
    any_of = wanted if isinstance(wanted, list) else [wanted]
    return any(_equals(one, text) for one in any_of for text in values if isinstance(text, str))


def _equals(wanted: str | float, text: str) -> bool:
    if isinstance(wanted, str):
        return is_like(text, wanted)
    try:
        return float(text) == wanted
    except ValueError:
        return False
