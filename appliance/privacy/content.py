"""Content items of reports that may stay (PS3.15 E.3.4): numbers, known codes, references, the frame of the tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pydicom.dataset import Dataset

from appliance.privacy.codes import known_meaning
from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.policy import Option
from appliance.privacy.profile_table import Action, content_rows
from appliance.privacy.pseudonyms import instance_uid, shifted_date
from appliance.privacy.stay import Stay, parts_of
from appliance.privacy.words import REMOVED, is_known

_DATES: Final = {"DATE": "Date", "DATETIME": "DateTime"}
#: Their elements are numbers, codes and UIDs, which the profile handles as anywhere else.
_PLAIN: Final = ("CONTAINER", "NUM", "CODE", "IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "SCOORD3D", "TCOORD")


def content_that_stays(items: Any, stay: Stay, clean_item: Callable[[Dataset, Stay], Dataset]) -> list[Dataset]:
    """New content items without what names anybody. The concept name of each has to be a code we know.

    ``clean_item`` does for an item's elements what the profile says.

    Raises CannotDeidentify (``structured_content``): items refer to each other by their place in the tree.
    """
    return [made for item in items if (made := _item(item, stay, clean_item)) is not None]


def _item(item: Dataset, stay: Stay, clean_item: Callable[[Dataset, Stay], Dataset]) -> Dataset | None:
    if "ReferencedContentItemIdentifier" in item:
        raise CannotDeidentify("structured_content", "content items that refer to others by place are not supported")
    kind = str(item.get("ValueType") or "")
    names = parts_of(item.get("ConceptNameCodeSequence"))
    words = ("CodingSchemeDesignator", "CodeValue")
    scheme, value = (str(names[0].get(word) or "") if names else "" for word in words)
    if names and known_meaning(scheme, value) is None:
        return None
    row = content_rows().get((kind, scheme, value))
    action = row.action(stay.policy.options) if row else None
    if action is Action.REMOVE or (kind not in _PLAIN and not names):
        return None
    return _made(item, clean_item(item, stay), kind, action, stay)


def _made(item: Dataset, clean: Dataset, kind: str, action: Action | None, stay: Stay) -> Dataset | None:
    if kind in _PLAIN:
        removed = kind == "CODE" and clean.ConceptCodeSequence and clean.ConceptCodeSequence[0].CodeValue == REMOVED
        return None if removed else clean
    if kind == "TEXT":
        text = str(item.get("TextValue") or "")
        kept = action is not Action.DUMMY and is_known(text)
        if not kept and action is None:
            return None
        clean.TextValue = text if kept else REMOVED
    elif kind == "PNAME":
        if action is None:
            return None
        clean.PersonName = "Removed"
    elif kind == "UIDREF" and action is not Action.KEEP:
        clean.UID = instance_uid(str(item.get("UID") or ""), stay.key)
    elif kind in _DATES:
        moved = shifted_date(str(item.get(_DATES[kind]) or ""), stay.days)
        if not stay.policy.has(Option.RETAIN_MODIFIED_DATES) or not moved:
            moved = "19000101" if kind == "DATE" else "19000101000000"
        setattr(clean, _DATES[kind], moved)
    elif kind == "TIME":
        clean.Time = item.Time if stay.policy.has(Option.RETAIN_MODIFIED_DATES) else "000000"
    elif kind != "UIDREF":
        return None
    return clean
