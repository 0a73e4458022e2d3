"""What de-identification did to each element, for a person to check. Never a value: this is printed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from appliance.privacy.profile_table import row_of


class Fate(StrEnum):
    """What became of an element."""

    KEPT = "kept"
    REPLACED = "replaced"
    EMPTIED = "emptied"
    DROPPED = "dropped"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class ElementFate:
    """One element: ``path`` is its tag, inside sequences with item numbers. Values are never shown.

    ``annex_e`` is what the Basic Profile says of it (PS3.15 Table E.1-1), ``-`` when it does not mention it.
    """

    path: str
    keyword: str
    fate: Fate
    annex_e: str = "-"


def report(before: Dataset, after: Dataset) -> list[ElementFate]:
    """The fate of every element, nested ones included, in the order of their tags. Shows no value."""
    fates = []
    old, new = dict(_elements(before)), dict(_elements(after))
    for path in sorted(old.keys() | new.keys()):
        element = new.get(path) or old[path]
        row = row_of(int(element.tag))
        fate = _fate(old.get(path), new.get(path))
        fates.append(ElementFate(path, element.keyword or "private", fate, row.basic if row else "-"))
    return fates


def _elements(dataset: Dataset, prefix: str = "") -> Iterator[tuple[str, DataElement]]:
    for element in dataset:
        path = f"{prefix}({element.tag.group:04X},{element.tag.element:04X})"
        yield path, element
        if element.VR == "SQ":
            for number, item in enumerate(element.value, start=1):
                yield from _elements(item, f"{path}[{number}].")


def _fate(old: DataElement | None, new: DataElement | None) -> Fate:
    if old is None:
        return Fate.ADDED
    if new is None:
        return Fate.DROPPED
    if new.is_empty:
        return Fate.KEPT if old.is_empty else Fate.EMPTIED
    return Fate.KEPT if old.VR == "SQ" or old.value == new.value else Fate.REPLACED
