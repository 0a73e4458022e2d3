"""Searching studies by what a person types: words of patient, accession number and description, or a UID's beginning.

A word means every word that begins with it, whatever case and accents; all words must be there. Whoever may not see
patients finds nothing by what would tell one.
"""

from __future__ import annotations

import re
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, TextClause, text

from appliance.study_index import SEARCHED

#: Of more studies than this that fit, the latest to begin are looked at.
MOST_FOUND: Final = 2000
LONGEST_SEARCH: Final = 200
MOST_WORDS: Final = 8

#: The fields that everybody sees.
_OPEN: Final = tuple(name for name in SEARCHED if name == "study_description")
_UID: Final = re.compile(r"[0-9]+\.[0-9.]*")
_WORDS: Final = text("SELECT rowid FROM study_search WHERE study_search MATCH :words ORDER BY rowid DESC LIMIT :most")
_BEGINNING: Final = text(
    "SELECT rowid FROM studies WHERE study_instance_uid >= :first AND study_instance_uid < :beyond LIMIT :most"
)


def candidates(conn: Connection, typed: str, sees_patients: bool) -> tuple[ColumnElement[bool], bool]:
    """The condition that those fulfil which fit; and whether it covers all that fit."""
    typed = typed[:LONGEST_SEARCH].strip()
    found = [_numbers(conn, _WORDS, {"words": words})] if (words := match_words(typed, sees_patients)) else []
    if _UID.fullmatch(typed):
        found.append(_numbers(conn, _BEGINNING, {"first": typed, "beyond": f"{typed}:"}))  # ":" is next after "9"
    complete = all(len(numbers) <= MOST_FOUND for numbers in found)
    listed = ",".join(str(number) for numbers in found for number in numbers[:MOST_FOUND])
    return cast(ColumnElement[bool], text(f"studies.rowid IN ({listed})")), complete


def _numbers(conn: Connection, query: TextClause, values: dict[str, str]) -> list[int]:
    return [int(number) for number in conn.scalars(query, values | {"most": MOST_FOUND + 1})]


def match_words(typed: str, sees_patients: bool) -> str:
    """What is typed as an expression of FTS5; empty when it holds no word. Nothing in it is an operator."""
    words = ["".join(letter for letter in word if letter.isprintable()) for word in typed.split()]
    quoted = ['"{}"*'.format(word.replace('"', "")) for word in words if any(map(str.isalnum, word))]
    if not quoted:
        return ""
    fields = SEARCHED if sees_patients else _OPEN
    return f"{{{' '.join(fields)}}} : ({' AND '.join(quoted[:MOST_WORDS])})"
