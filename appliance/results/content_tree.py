"""A structured report as a tree of words for people (PS3.3 C.17.3), whoever made it.

Runs where ``appliance.dicomweb.opening`` runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from appliance.dicomweb.opening import Unreadable, open_file
from models.tolerant_reading import DAMAGED, quietly

_DEEPEST: Final = 12
_MOST_ITEMS: Final = 2000


@dataclass(frozen=True)
class Item:
    """One content item: what it is about, its value, and what belongs to it."""

    name: str
    value: str
    items: tuple[Item, ...] = ()


@dataclass
class _Count:
    left: int = field(default=_MOST_ITEMS)


@dataclass(frozen=True)
class Opened:
    """What kind of object a result is, and its content when it is a report; ``has_pixels`` when it can be drawn."""

    sop_class: str
    sop_instance_uid: str
    series_description: str
    content: Item | None
    has_pixels: bool


def opened(path: Path, most_bytes: int) -> Opened | Unreadable:
    """Read a result of the spool."""
    dataset = open_file(path, most_bytes, with_pixels=False)
    if isinstance(dataset, Unreadable):
        return dataset
    try:
        with quietly():
            content = _item(dataset, 0, _Count()) if "ContentSequence" in dataset else None
            return Opened(
                sop_class=getattr(dataset.get("SOPClassUID"), "name", ""),
                sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
                series_description=str(dataset.get("SeriesDescription") or ""),
                content=content,
                has_pixels=bool(dataset.get("Rows")) and dataset.get("SamplesPerPixel") == 3,
            )
    except DAMAGED as error:
        return Unreadable(f"its content cannot be read ({type(error).__name__})")


def _item(dataset: Dataset, depth: int, count: _Count) -> Item:
    count.left -= 1
    inside: list[Item] = []
    if depth < _DEEPEST:
        for one in dataset.get("ContentSequence") or []:
            if count.left <= 0:
                break
            inside.append(_item(one, depth + 1, count))
    return Item(_meaning(dataset, "ConceptNameCodeSequence"), _value(dataset), tuple(inside))


def _value(dataset: Dataset) -> str:
    kind = str(dataset.get("ValueType") or "")
    if kind == "CODE":
        return _meaning(dataset, "ConceptCodeSequence")
    if kind == "NUM":
        measured = (dataset.get("MeasuredValueSequence") or [Dataset()])[0]
        unit = _meaning(measured, "MeasurementUnitsCodeSequence")
        return f"{measured.get('NumericValue', '')} {'' if unit == 'no units' else unit}".strip()
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        named = (dataset.get("ReferencedSOPSequence") or [Dataset()])[0]
        return str(named.get("ReferencedSOPInstanceUID") or "")
    for keyword in ("TextValue", "PersonName", "UID", "DateTime", "Date", "Time"):
        if dataset.get(keyword) is not None:
            return str(dataset.get(keyword))
    return ""


def _meaning(dataset: Dataset, keyword: str) -> str:
    codes = dataset.get(keyword) or []
    return str(codes[0].get("CodeMeaning") or codes[0].get("CodeValue") or "") if codes else ""
