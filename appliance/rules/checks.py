"""Whether the conditions of a rule make sense: asked when the configuration is read, before any image."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

#: Value representations that hold no text to compare (PS3.5 6.2).
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_COMMAND_GROUP, _FIRST_BEHIND_THE_HEADER = 0x0000, 0x7FE00000


def checked_conditions(conditions: dict[str, Any]) -> dict[str, Any]:
    """The conditions as they are.

    Raises:
        ValueError: there is none, or one is not for a DICOM keyword or not of a form that its element can have.
    """
    if not conditions:
        raise ValueError('there is no condition; for every image write { SOPInstanceUID = "*" }')
    for keyword, wanted in conditions.items():
        _check(keyword, wanted)
    return conditions


def _check(keyword: str, wanted: Any) -> None:
    representations = _representations(keyword)
    if isinstance(wanted, bool):
        return
    if "SQ" in representations:
        if not isinstance(wanted, Mapping):
            raise ValueError(f"{keyword} is a sequence; give a table of conditions for its items, true or false")
        checked_conditions(dict(wanted))
    elif representations <= _BYTES:
        raise ValueError(f"{keyword} holds bytes; give true or false")
    elif isinstance(wanted, Mapping):
        raise ValueError(f"{keyword} is no sequence; give a text, a number, a list of these, true or false")
    else:
        _check_values(keyword, wanted if isinstance(wanted, list) else [wanted])


def _check_values(keyword: str, values: list[Any]) -> None:
    if not values:
        raise ValueError(f"{keyword} = [] can never hold; give a value, or false for an element without one")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"{keyword} = {value!s} is neither text nor number; put it in quotes")
        if isinstance(value, str) and not value.strip():
            raise ValueError(f'{keyword} = "" can never hold; give false for an element without a value')


def _representations(keyword: str) -> frozenset[str]:
    """The value representations of a keyword, mostly one; the dictionary is slow to import and not always needed."""
    from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword  # noqa: PLC0415

    tag = tag_for_keyword(keyword)
    if tag is None:
        near = difflib.get_close_matches(keyword, keyword_dict, 1)
        raise ValueError(f"{keyword} is no DICOM keyword; " + (f"did you mean {near[0]}?" if near else "see PS3.6"))
    if tag >> 16 == _COMMAND_GROUP or tag >= _FIRST_BEHIND_THE_HEADER:
        raise ValueError(f"{keyword} does not stand in the header of a file; ask for another element")
    return frozenset(dictionary_VR(tag).split(" or "))
