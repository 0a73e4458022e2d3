"""Table E.1-1 of PS3.15 as it stands in annex_e.tsv: what the Basic Profile and each option do to an element."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from appliance.privacy.policy import Option

_FILE = Path(__file__).with_name("annex_e.tsv")
PRIVATE_ROW = "PRIVATE"


class Action(StrEnum):
    """The action codes (PS3.15 E.1-1a). Of a compound code the last is taken, which is valid in every IOD."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    NEW_UID = "U"
    KEEP = "K"
    CLEAN = "C"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: ``basic`` as printed, compound or not, and what each option puts in its place."""

    name: str
    basic: str
    options: dict[str, str]

    def action(self, chosen: Iterable[Option]) -> Action:
        """What is done under the chosen options. Where two speak, keeping goes before cleaning (E.3)."""
        said = {self.options[option] for option in chosen if option in self.options}
        if said:
            return Action.KEEP if "K" in said else Action.CLEAN
        return Action(self.basic.split("/")[-1].rstrip("*"))


@cache
def rows() -> dict[str, Row]:
    """Table E.1-1 by tag, eight hexadecimal digits; repeating groups as printed, private ones as PRIVATE_ROW."""
    return {cells[0]: Row(cells[1], cells[2], _options(cells[3])) for cells in _cells(4)}


@cache
def content_rows() -> dict[tuple[str, str, str], Row]:
    """Table E.3.4-1 by value type, coding scheme designator and code value of a content item's concept name."""
    return {(cells[3], cells[1], cells[0]): Row(cells[2], cells[4], _options(cells[5])) for cells in _cells(6)}


def row_of(tag: int) -> Row | None:
    """The row an element falls under; None: the table does not mention it."""
    if (tag >> 16) % 2:
        return rows()[PRIVATE_ROW]
    if tag >> 24 == 0x50:
        return rows()["50xxxxxx"]
    if tag & 0xFF00FFFF in (0x60003000, 0x60004000):
        return rows()[f"60xx{tag & 0xFFFF:04X}"]
    return rows().get(f"{tag:08X}")


def _cells(count: int) -> Iterator[list[str]]:
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        cells = line.split("\t")
        if not line.startswith("#") and len(cells) == count:
            yield cells


def _options(cell: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in cell.split(",") if part) if cell else {}
