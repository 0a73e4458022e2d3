"""With which configuration the box runs and what is wrong with it: one small file that the supervisor writes and the
page, ``/healthz`` and ``scanside status`` read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from appliance.errors import Problem

STANDING: Final = "standing.json"
#: The process that stands in for all others in safe mode.
SAFE_PAGE: Final = "safe-page"
#: In the environment of the page of safe mode: where that file lies.
STANDING_VARIABLE: Final = "SCANSIDE_STANDING"

Stamp = tuple[int, int, int] | None


class Said(BaseModel):
    """One problem, and what is not started because of it."""

    model_config = ConfigDict(frozen=True)
    key: str
    value: str = ""
    reason: str
    repair: str
    line: int | None = None
    holds: tuple[str, ...] = ()


class Standing(BaseModel):
    """``mode``: it runs with the file, with the copy of what was last in force, or shows its page alone.

    ``refused`` is what is wrong with ``file`` as it is now; ``lacking`` what is not there; times are epoch s.
    ``changed_at`` tells that the file is another one, and valid, since the start.
    """

    model_config = ConfigDict(frozen=True)
    mode: Literal["file", "kept", "safe"] = "file"
    file: str | None = None
    since: float = 0.0
    refused: tuple[Said, ...] = ()
    lacking: tuple[Said, ...] = ()
    changed_at: float | None = None
    page_host: str = ""
    page_port: int = 0
    home: str = ""

    @property
    def held(self) -> tuple[str, ...]:
        """The processes and parts that are not started."""
        return tuple(sorted({name for one in self.lacking for name in one.holds}))


def said(problem: Problem, holds: frozenset[str] = frozenset()) -> Said:
    """A problem as it is written down; the value of a key that may be a secret is not."""
    private = any(word in problem.key for word in ("token", "secret", "password"))
    return Said(
        key=problem.key,
        value="" if private else problem.value,
        reason=problem.reason,
        repair=problem.repair,
        line=problem.line,
        holds=tuple(sorted(holds)),
    )


def write_standing(path: Path, standing: Standing) -> None:
    """Replace the file whole; it is made anew at every start, so it need not outlast a power cut. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(standing.model_dump_json(), encoding="utf-8")
    temporary.replace(path)


def read_standing(path: Path) -> Standing:
    """What the supervisor said last; that all is well where it has said nothing that can be read."""
    try:
        return Standing.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return Standing()


def stamp_of(file: Path | None) -> Stamp:
    """Another value whenever the file is another one; None when there is none."""
    try:
        status = file.stat() if file else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size) if status else None
