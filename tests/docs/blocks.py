"""The marked blocks of a document: what stands between ``<!-- table: x -->`` or ``<!-- names: x -->`` and its end."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
END = "<!-- end -->"


def documents() -> list[Path]:
    """Every Markdown file of the project that a person reads; the packs' cards are written by the recipe."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def block(text: str, kind: str, name: str) -> str:
    """The lines between the markers of one block. Raises ValueError when it is not there exactly once."""
    found: list[str] = _pattern(kind, name).findall(text)
    if len(found) != 1:
        raise ValueError(f"the block '{kind}: {name}' stands there {len(found)} times instead of once")
    return found[0].strip("\n")


def with_block(text: str, kind: str, name: str, content: str) -> str:
    """The document with the content of one block replaced."""
    block(text, kind, name)
    whole = f"<!-- {kind}: {name} -->\n\n{content}\n\n{END}"
    return _pattern(kind, name).sub(lambda _found: whole, text)


def block_names(text: str, kind: str) -> list[str]:
    """The names of all blocks of one kind, in order."""
    return re.findall(rf"^<!-- {kind}: ([a-z-]+) -->$", text, re.MULTILINE)


def first_cells(text: str) -> set[str]:
    """The code names in the first column of the table in ``text``."""
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def _pattern(kind: str, name: str) -> re.Pattern[str]:
    return re.compile(rf"^<!-- {kind}: {name} -->\n(.*?)\n{END}$", re.DOTALL | re.MULTILINE)
