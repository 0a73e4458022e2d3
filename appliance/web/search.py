"""Searching studies by what a person types: words of patient, accession number and description, or a UID's beginning.

A word means every word that begins with it, whatever case and accents; all words must be there. Whoever may not see
patients finds nothing by what would tell one.
"""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, or_, select, text

from appliance.schema import studies
from appliance.study_index import SEARCHED

#: Of more studies than this that fit, the latest to begin are looked at.
MOST_FOUND: Final = 2000
LONGEST_SEARCH: Final = 200
MOST_WORDS: Final = 8

#: The fields that everybody sees.
_OPEN: Final = tuple(name for name in SEARCHED if name == "study_description")
_UID: Final = re.compile(r"[0-9]+\.[0-9.]*")
_LATEST: Final = text(
    "SELECT rowid FROM study_search WHERE study_search MATCH :words ORDER BY rowid DESC LIMIT :most"
).bindparams(bindparam("words"), bindparam("most"))


def candidates(conn: Connection, typed: str, sees_patients: bool) -> tuple[ColumnElement[bool] | None, bool]:
    """The condition that those fulfil which fit, None when nothing can; and whether it covers all that fit."""
    typed = typed[:LONGEST_SEARCH].strip()
    found: list[ColumnElement[bool]] = []
    complete = True
    words = match_words(typed, sees_patients)
    if words:
        numbers = list(conn.scalars(_LATEST, {"words": words, "most": MOST_FOUND + 1}))
        complete = len(numbers) <= MOST_FOUND
        found.append(_numbered(numbers[:MOST_FOUND]))
    if _UID.fullmatch(typed):
        uid = studies.c.study_instance_uid
        beginning = select(uid).where(uid >= typed, uid < f"{typed}:")  # ":" is next after "9"
        uids = list(conn.scalars(beginning.limit(MOST_FOUND + 1)))
        complete = complete and len(uids) <= MOST_FOUND
        found.append(uid.in_(uids[:MOST_FOUND]))
    return (or_(*found) if found else None), complete


def match_words(typed: str, sees_patients: bool) -> str:
    """What is typed as an expression of FTS5; empty when it holds no word. Nothing in it is an operator."""
    words = ["".join(letter for letter in word if letter.isprintable()) for word in typed.split()]
    quoted = ['"{}"*'.format(word.replace('"', "")) for word in words if any(map(str.isalnum, word))]
    if not quoted:
        return ""
    fields = SEARCHED if sees_patients else _OPEN
    return f"{{{' '.join(fields)}}} : ({' AND '.join(quoted[:MOST_WORDS])})"


def _numbered(numbers: list[int]) -> ColumnElement[bool]:
    listed = ",".join(str(int(number)) for number in numbers)  # integers that SQLite gave
    condition: ColumnElement[bool] = text(f"studies.rowid IN ({listed})")  # type: ignore[assignment]
    return condition
