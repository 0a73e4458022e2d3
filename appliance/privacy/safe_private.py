"""Private elements that the standard holds to be safe (PS3.15 Table E.3.10-1), of these the numbers."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Final

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

_FILE = Path(__file__).with_name("safe_private.tsv")
_LETTERS: Final = {"SS": "h", "SL": "i", "FL": "f", "FD": "d"}


@cache
def safe_rows() -> dict[tuple[str, int, int], str]:
    """The VR by private creator, group and low byte of the element."""
    lines = (line.split("\t") for line in _FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {(creator, int(tag[:4], 16), int(tag[6:], 16)): vr for creator, tag, vr in lines}


def safe_private_value(element: DataElement, dataset: Dataset) -> DataElement | None:
    """A private element as it may stay, or the creator of its block where that stays too; None: neither."""
    tag = element.tag
    if 0x10 <= tag.element <= 0xFF:
        creator = str(element.value).strip()
        ours = [(group, low) for name, group, low in safe_rows() if name == creator and group == tag.group]
        kept = any(Tag(group, tag.element << 8 | low) in dataset for group, low in ours)
        return DataElement(tag, "LO", creator) if kept else None
    creator_tag = Tag(tag.group, tag.element >> 8)
    creator = str(dataset[creator_tag].value).strip() if creator_tag in dataset else ""
    vr = safe_rows().get((creator, tag.group, tag.element & 0xFF))
    return None if vr is None else _as_numbers(element, vr)


def _as_numbers(element: DataElement, vr: str) -> DataElement | None:
    """The element with the VR of the table; None when its value is not of it."""
    value = element.value
    try:
        if element.VR == "UN":
            value = _unknown(bytes(value), vr)
        parts = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "insert") else [value]
        for part in parts:
            float(part)
    except (TypeError, ValueError, struct.error):
        return None
    numbers = [f"{float(part):.10g}" for part in parts] if vr in ("DS", "IS") else parts
    return DataElement(element.tag, vr, numbers[0] if len(numbers) == 1 else numbers, validation_mode=config.IGNORE)


def _unknown(value: bytes, vr: str) -> list[str] | list[float]:
    if vr in ("DS", "IS"):
        return value.decode("ascii").strip(" \0").split("\\")
    letter = _LETTERS[vr]
    return list(struct.unpack(f"<{len(value) // struct.calcsize(letter)}{letter}", value))
