"""What keeps a worklist of many studies quick: how many there are of each kind, and the words they are searched by.

Both are kept by triggers in the transaction of every change of ``studies``. The words are an FTS5 index over the
study's own columns, whose text it does not hold a second time.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import DDL, CheckConstraint, Column, Connection, Integer, Table, Text, event

from appliance.schema import studies
from store_forward.database import METADATA

#: Stands for the urgency of a study on which no decision stands.
PENDING: Final = 4

#: How many studies there are by ``urgency`` (PENDING: null) and ``doubt`` (empty: null).
study_counts: Final = Table(
    "study_counts",
    METADATA,
    Column("urgency", Integer, primary_key=True),
    Column("doubt", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    CheckConstraint("number >= 0", name="study_count"),
)

#: What a study is searched by; all but the last say who the patient is.
SEARCHED: Final = ("patient_name", "patient_id", "accession_number", "study_description")

_COLUMNS: Final = ", ".join(SEARCHED)
_SEARCH: Final = (
    f"CREATE VIRTUAL TABLE IF NOT EXISTS study_search USING fts5({_COLUMNS}, content='studies', "
    "content_rowid='rowid', tokenize=\"unicode61 remove_diacritics 2\", prefix='1 2 3')"
)


def _values(row: str) -> str:
    return ", ".join(f"{row}.{name}" for name in SEARCHED)


_COUNT_ONE: Final = f"""
    INSERT INTO study_counts (urgency, doubt, number)
    VALUES (coalesce(NEW.urgency, {PENDING}), coalesce(NEW.doubt, ''), 1)
    ON CONFLICT (urgency, doubt) DO UPDATE SET number = number + 1;
"""  # nosec B608: of names that stand here
_COUNT_ONE_LESS: Final = f"""
    UPDATE study_counts SET number = number - 1
    WHERE urgency = coalesce(OLD.urgency, {PENDING}) AND doubt = coalesce(OLD.doubt, '');
"""  # nosec B608
_WORDS: Final = f"INSERT INTO study_search (rowid, {_COLUMNS}) VALUES (NEW.rowid, {_values('NEW')});"  # nosec B608
_WORDS_GO: Final = (
    f"INSERT INTO study_search (study_search, rowid, {_COLUMNS}) VALUES ('delete', OLD.rowid, {_values('OLD')});"  # nosec B608
)
_OTHER_WORDS: Final = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in SEARCHED)
_MADE_WITH_STUDIES: Final = (
    _SEARCH,
    f"CREATE TRIGGER studies_added AFTER INSERT ON studies BEGIN {_COUNT_ONE}{_WORDS} END",
    "CREATE TRIGGER studies_moved AFTER UPDATE ON studies "
    "WHEN OLD.urgency IS NOT NEW.urgency OR OLD.doubt IS NOT NEW.doubt "
    f"BEGIN {_COUNT_ONE_LESS}{_COUNT_ONE} END",
    f"CREATE TRIGGER studies_reworded AFTER UPDATE OF {_COLUMNS} ON studies WHEN {_OTHER_WORDS} "
    f"BEGIN {_WORDS_GO}{_WORDS} END",
    f"CREATE TRIGGER studies_removed AFTER DELETE ON studies BEGIN {_COUNT_ONE_LESS}{_WORDS_GO} END",
)
for _statement in _MADE_WITH_STUDIES:
    event.listen(studies, "after_create", DDL(_statement.replace("%", "%%")))  # type: ignore[no-untyped-call]


def forget_removed_words(connection: Connection) -> None:
    """FTS5 keeps the words of a row that is gone, marked as such, until it joins its parts: let it do that now."""
    connection.exec_driver_sql("INSERT INTO study_search (study_search) VALUES ('optimize')")
