"""On which line of a TOML file a key stands, for messages; the parser of the standard library does not say."""

from __future__ import annotations

import re
import tomllib
from typing import Any

Place = tuple[int | str, ...]
Lines = dict[Place, int]

_TABLE = re.compile(r"^\s*(\[\[?)([^\[\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")


def lines_of(text: str) -> Lines:
    """The line, from 1, of every table and key. Inside a text of several lines it may see keys that are none."""
    found: Lines = {}
    table: Place = ()
    numbers: dict[Place, int] = {}
    for line, words in enumerate(text.splitlines(), 1):
        if head := _TABLE.match(words):
            table = _numbered(_parts(head[2]), numbers)
            if head[1] == "[[":
                numbers[table] = numbers.get(table, -1) + 1
                table = (*table, numbers[table])
            found.setdefault(table, line)
        elif key := _KEY.match(words):
            found.setdefault((*table, *_parts(key[1])), line)
    return found


def line_of(place: Place, lines: Lines) -> int | None:
    """The line of what stands at ``place``, or of the nearest table or key around it; None when there is none."""
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return None


def read_before_error(text: str) -> dict[str, Any]:
    """What the text says up to the line that is no TOML; all of it when there is none such."""
    lines = text.splitlines()
    for length in range(len(lines), -1, -1):
        try:
            return tomllib.loads("\n".join(lines[:length]))
        except tomllib.TOMLDecodeError:
            continue
    return {}


def _parts(dotted: str) -> Place:
    """``a."b c"`` as its parts; a name that is no key as it is."""
    try:
        value: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted.strip(),)
    parts: list[int | str] = []
    while isinstance(value, dict):
        (name, value), *_ = value.items()
        parts.append(name)
    return tuple(parts)


def _numbered(place: Place, numbers: dict[Place, int]) -> Place:
    """A table below ``[[a]]`` belongs to the newest one there."""
    found: Place = ()
    for part in place[:-1]:
        found = (*found, part)
        if found in numbers:
            found = (*found, numbers[found])
    return (*found, *place[-1:])
