"""Counts over rows that are only ever added: each look reads what is new since the last, not everything again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

#: What is counted by what, in tables that rows are only added to.
_COUNTS: Final = {
    "study_events": "SELECT kind, count(*) FROM study_events WHERE id > :seen AND id <= :last GROUP BY kind",
    "decisions": (
        "SELECT substr(detail, 1, instr(detail || ':', ':') - 1) AS decision, count(*) FROM study_events"
        " WHERE id > :seen AND id <= :last AND kind = 'decided' GROUP BY decision"
    ),
    "delivery_transitions": (
        "SELECT state_to, count(*) FROM delivery_events WHERE id > :seen AND id <= :last GROUP BY state_to"
    ),
    "instances": "SELECT '', count(*) FROM instances WHERE rowid > :seen AND rowid <= :last HAVING count(*)",
    "set_aside": "SELECT '', count(*) FROM set_aside WHERE id > :seen AND id <= :last HAVING count(*)",
}
_LAST: Final = {
    "study_events": "SELECT max(id) FROM study_events",
    "decisions": "SELECT max(id) FROM study_events",
    "delivery_transitions": "SELECT max(id) FROM delivery_events",
    "instances": "SELECT max(rowid) FROM instances",
    "set_aside": "SELECT max(id) FROM set_aside",
}


class Tallies:
    """Counted once from the beginning, and from there on; for one database."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, int] = dict.fromkeys(_COUNTS, 0)
        self._counted: dict[str, Counter[str]] = {name: Counter() for name in _COUNTS}

    def up_to_now(self, conn: Connection) -> Mapping[str, Mapping[str, int]]:
        """By what is counted, how often each kind of it is there. Raises sqlalchemy.exc.DatabaseError."""
        with self._lock:
            for name, query in _COUNTS.items():
                last = int(conn.scalar(text(_LAST[name])) or 0)
                if last > self._seen[name]:
                    found = conn.execute(text(query), {"seen": self._seen[name], "last": last}).all()
                    self._counted[name].update({str(kind): int(number) for kind, number in found})
                    self._seen[name] = last
            return {name: dict(counted) for name, counted in self._counted.items()}
