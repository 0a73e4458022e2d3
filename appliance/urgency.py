"""How urgent a study is, as SQLite keeps it beside the study: generated columns, so that they are always right.

They follow from other columns of ``studies`` by the rules of ``appliance.web.standing``, which a test compares with
these for every combination; whatever writes a study, they are right in the same transaction.
"""

from __future__ import annotations

from typing import Final

#: What can stand, most pressing first; its place here is the column ``urgency``.
URGENCIES: Final = ("urgent", "escalate", "not_triaged", "routine")


def _rank(column: str) -> str:
    cases = " ".join(f"WHEN '{word}' THEN {place}" for place, word in enumerate(URGENCIES))
    return f"CASE {column} {cases} END"


_BEFORE_DECISION: Final = "state IN ('receiving', 'complete', 'triaging')"
_BOX, _CLOUD = _rank("decision"), _rank("answer_decision")

#: 0 urgent to 3 routine; null while no decision stands.
URGENCY_SQL: Final = f"""CASE
    WHEN {_BOX} IS NULL THEN NULL
    WHEN decision = 'urgent' OR answer_decision = 'urgent' THEN 0
    WHEN {_BEFORE_DECISION} THEN NULL
    WHEN answer_basis = 'features' OR {_CLOUD} IS NULL THEN {_BOX}
    WHEN decision IN ('escalate', 'not_triaged') AND answer_decision = 'routine' THEN 3
    ELSE min({_BOX}, {_CLOUD}) END"""

#: ``disagrees``, ``provisional`` (the cloud is asked and has not answered), or null.
DOUBT_SQL: Final = f"""CASE
    WHEN decision IS NULL OR {_BEFORE_DECISION} THEN NULL
    WHEN agreement = 'disagrees' THEN 'disagrees'
    WHEN answer_decision IS NULL AND escalated THEN 'provisional' END"""
