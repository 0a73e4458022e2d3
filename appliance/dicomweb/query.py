"""A QIDO-RS query string as values, and whether an object fits it (PS3.18 8.3.4, PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from appliance.dicomweb.attributes import KNOWN, DicomJson, Level, can_be_matched, level_keys

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_RANGED: Final = frozenset({"DA", "TM", "DT"})
_OTHERS: Final = frozenset({"limit", "offset", "fuzzymatching", "includefield", "emptyvaluematching", "accept"})
NO_FUZZY: Final = "The fuzzymatching parameter is not supported. Only literal matching has been performed."


@dataclass(frozen=True)
class Key:
    """One matching key; an empty value matches everything."""

    tag: str
    value: str

    @property
    def vr(self) -> str:
        """Its value representation."""
        return dictionary_VR(int(self.tag, 16))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        wild = "".join({"*": ".*", "?": "."}.get(one, re.escape(one)) for one in self.value)
        return re.compile(wild, re.DOTALL | (re.IGNORECASE if self.vr == "PN" else re.NOFLAG))

    @property
    def is_wild(self) -> bool:
        """Whether the value has wildcards where they count (PS3.4 C.2.2.2.4)."""
        return self.vr not in (*_RANGED, "UI") and any(one in self.value for one in "*?")

    @property
    def bounds(self) -> tuple[str, str] | None:
        """Both ends of a range, "" where it is open; None for what is no range (PS3.4 C.2.2.2.5)."""
        if self.vr not in _RANGED or "-" not in self.value:
            return None
        first, _, last = self.value.partition("-")
        return first, last

    @property
    def listed(self) -> tuple[str, ...]:
        """The UIDs, or the modalities, of a list; else the value alone."""
        several = self.vr == "UI" or self.tag == "00080061"
        return tuple(filter(None, re.split(r"[,\\]", self.value))) if several else (self.value,)

    def fits(self, attributes: DicomJson) -> bool:
        """Whether the object with these attributes matches."""
        if not self.value or self.value == "*":
            return True
        return any(self._fits(value) for value in _texts(attributes.get(self.tag, {})))

    def _fits(self, value: str) -> bool:
        if self.bounds is not None:
            first, last = self.bounds
            return (not first or value >= first) and (not last or value[: len(last)] <= last)
        if self.vr == "TM":
            return value.startswith(self.value)
        if self.vr == "PN" or self.is_wild:
            return self._pattern.fullmatch(value) is not None
        return value in self.listed


@dataclass(frozen=True)
class Query:
    """What a search was asked; ``limit`` is within the server's own, ``over`` whether it was asked for more."""

    level: Level
    keys: tuple[Key, ...]
    fields: frozenset[str]
    limit: int
    offset: int
    over: bool
    fuzzy: bool

    def fits(self, attributes: DicomJson) -> bool:
        """Whether the object with these attributes matches all keys."""
        return all(key.fits(attributes) for key in self.keys)

    def value(self, tag: str) -> Key | None:
        """The key for this tag, if it was given with a value."""
        return next((key for key in self.keys if key.tag == tag and key.value not in ("", "*")), None)


def read_query(parameters: QueryParams, level: Level, above: frozenset[Level], most: int) -> Query:
    """The query of a request at ``level``; ``above`` are the levels whose object the path names.

    Raises HTTPException 400: a name or number that is not understood, or an attribute that cannot be matched here.
    """
    keys = [_key(name, value, level) for name, value in parameters.multi_items() if name not in _OTHERS]
    fields = _fields(parameters.getlist("includefield"), level, above)
    fields |= {key.tag for key in keys}
    limit = _number(parameters, "limit", most)
    return Query(
        level=level,
        keys=tuple(keys),
        fields=frozenset(fields),
        limit=min(limit, most),
        offset=_number(parameters, "offset", 0),
        over=limit > most or "limit" not in parameters,
        fuzzy=parameters.get("fuzzymatching", "false").lower() == "true",
    )


def _key(name: str, value: str, level: Level) -> Key:
    tag = _tag(name)
    if tag is None or not can_be_matched(tag, level):
        raise HTTPException(400, f"{name[:64]!r} cannot be matched in this search; see docs/reference/dicomweb.md.")
    return Key(tag, value.strip())


def _tag(name: str) -> str | None:
    if _TAG.fullmatch(name):
        return name.upper()
    found = tag_for_keyword(name)
    return None if found is None else f"{found:08X}"


def _fields(asked: list[str], level: Level, above: frozenset[Level]) -> set[str]:
    """The tags of the answer; those of levels that the path names are left out unless they are asked for."""
    names = [name for value in asked for name in value.split(",") if name]
    everything = "all" in names
    found = {tag for name in names if (tag := _tag(name)) is not None and tag in KNOWN}
    for one in Level:
        if one <= level and (one not in above or everything):
            found |= level_keys(one, all_of_it=everything)
    return found | {"0020000D"} | ({"0020000E"} if level >= Level.SERIES else set())


def _number(parameters: QueryParams, name: str, default: int) -> int:
    text = parameters.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HTTPException(400, f"{name} must be a whole number.")
    return int(text)


def _texts(found: DicomJson) -> list[str]:
    texts = []
    for value in found.get("Value", []):
        texts += [str(one) for one in value.values()] if isinstance(value, dict) else [str(value)]
    return texts
