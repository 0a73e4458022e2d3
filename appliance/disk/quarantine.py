"""Files out of the way, each with a note that says why: nothing that was found is ever thrown away."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from store_forward.durable import make_folder, sync_folder, write_durably

FOLDER = "quarantine"


class Trouble(StrEnum):
    """What can be wrong with a file of the spool."""

    MISSING = "missing"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NO_ROW = "no_row"
    MADE_BEFORE = "made_before"


#: What each means and what to do, for a person.
TROUBLE_WORDS = {
    Trouble.MISSING: "its file is gone from the spool; suspect the disk, and send it again",
    Trouble.TRUNCATED: "its file has not the length it had; suspect the disk, and send it again",
    Trouble.DAMAGED: "its bytes are not those that were received; suspect the disk, and send it again",
    Trouble.NO_ROW: "nothing refers to it: it was never acknowledged, or made for a decision that came to nothing",
    Trouble.MADE_BEFORE: "a result made for an earlier database; it is made again when its study is read",
}


def put_away(home: Path, path: Path, trouble: Trouble, now: float) -> bool:
    """Move a file to ``quarantine/`` with its note, durably; False when there is no file. Raises OSError."""
    if not path.exists():
        return False
    folder = home / FOLDER
    make_folder(folder)
    name = f"{path.name}.{stamp(now)}"
    note = {"file": path.name, "reason": trouble.value, "meaning": TROUBLE_WORDS[trouble], "at": stamp(now)}
    write_durably(folder / f"{name}.reason.json", json.dumps(note, indent=1).encode())
    path.rename(folder / name)
    sync_folder(folder)
    sync_folder(path.parent)
    return True


def stamp(at: float) -> str:
    """``at`` (epoch s) for the name of a file: 20261121T140320Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
