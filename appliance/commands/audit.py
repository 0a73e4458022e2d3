"""``scanside audit``: is the trail whole, and what does it say."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from appliance.audit import events
from appliance.audit.message import audit_message
from appliance.audit.trail import Broken, Head, Row, head, record, rows, verify
from store_forward.database import reading, writing
from store_forward.durable import write_durably


def verify_trail(engine: Engine, kept: Head | None) -> Broken | Head:
    """Walk the whole chain; ``kept`` is a head noted earlier that must be in it."""
    with reading(engine) as connection:
        return verify(connection, kept)


def latest(engine: Engine, limit: int) -> list[dict[str, Any]]:
    """The last events, the oldest of them first; that they were read is recorded."""
    with writing(engine) as connection:
        found = list(rows(connection, after=max(head(connection).seq - limit, 0)))
        record(connection, events.log_used(whoever(), f"{len(found)} events shown"), time.time())
    return [_as_data(row) for row in found]


def export_trail(engine: Engine, file: Path, source: str, since: float, form: str) -> tuple[int, Head]:
    """Write the trail since ``since`` (epoch s) to ``file``: "xml" is one DICOM Audit Message a line, "json" the rows.

    Returns how many events and the head to keep with them. Raises OSError; nothing half-written is left behind.
    """
    with writing(engine) as connection:
        record(connection, events.log_used(whoever(), "exported"), time.time())
    with reading(engine) as connection:
        found = list(rows(connection, since=since))
    lines = list(_lines(found, source, form))
    write_durably(file, "".join(f"{line}\n" for line in lines).encode())
    return len(found), Head(found[-1].seq, found[-1].digest)


def as_line(event: dict[str, Any]) -> str:
    """One event for a person."""
    moment = datetime.fromtimestamp(event["at"], UTC).isoformat(timespec="seconds")
    kind = event["event_type"][1] if event["event_type"] else event["event_id"][1]
    who = ", ".join(one["user_id"] for one in event["participants"])
    what = ", ".join(f"{one['kind']} {one['identifier']}" for one in event["subjects"])
    failed = "" if event["outcome"] == 0 else " FAILED"
    more = "".join(f" · {one}" for one in (what, event["detail"]) if one)
    return f"{event['seq']:>7} {moment}  {kind}{failed}: {who}{more}"


def _lines(found: list[Row], source: str, form: str) -> Iterator[str]:
    for row in found:
        yield audit_message(row, source) if form == "xml" else json.dumps(_as_data(row), ensure_ascii=False)


def _as_data(row: Row) -> dict[str, Any]:
    return {"seq": row.seq, "at": row.at, "digest": row.digest} | row.event


def whoever() -> str:
    """The user of this machine who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return f"uid {os.getuid()}"
