"""Every transition of a study writes one row, so the history of a study is a query."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from appliance.schema import study_events


def record_event(connection: Connection, study_instance_uid: str, at: float, kind: str, detail: str = "") -> None:
    """Append one event inside the caller's transaction."""
    connection.execute(
        insert(study_events).values(study_instance_uid=study_instance_uid, at=at, kind=kind, detail=detail)
    )
