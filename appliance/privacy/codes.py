"""Coded entries (PS3.3 8.8): a code that pydicom's dictionaries of the standard know stays, with their meaning."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sr import _snomed_dict
from pydicom.sr._concepts_dict import concepts

from appliance.privacy.words import REMOVED

#: Names of SNOMED RT that came before SCT.
_OLD_SNOMED: Final = ("SRT", "SNM3", "99SDM")


def is_code(item: Dataset) -> bool:
    """Whether a sequence's item is a coded entry."""
    return "CodeMeaning" in item and ("CodeValue" in item or "LongCodeValue" in item or "URNCodeValue" in item)


def known_meaning(scheme: str, value: str) -> str | None:
    """What the standard's dictionaries call a code; None: they do not know it."""
    if scheme in _OLD_SNOMED:
        scheme, value = "SCT", _snomed_dict.mapping["SRT"].get(value, "")
    return _meanings().get((scheme, value))


def clean_code(item: Dataset) -> Dataset:
    """A new coded entry: the known code with the dictionary's meaning, else one that says it was removed."""
    scheme, value = str(item.get("CodingSchemeDesignator") or ""), str(item.get("CodeValue") or "")
    meaning = known_meaning(scheme, value)
    clean = Dataset()
    if meaning is None:
        clean.CodeValue, clean.CodingSchemeDesignator, clean.CodeMeaning = REMOVED, "99SCANSIDE", "Removed"
    else:
        clean.CodeValue, clean.CodingSchemeDesignator, clean.CodeMeaning = value, scheme, meaning[:64]
    return clean


@cache
def _meanings() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    known: dict[str, dict[str, dict[str, Any]]] = concepts  # type: ignore[assignment]
    for scheme, words in known.items():
        for codes in words.values():
            for value, (meaning, *_) in codes.items():
                found.setdefault((scheme, value), meaning)
    return found
