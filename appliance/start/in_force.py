"""The copy of the configuration that the box runs with: its processes read this, and a file that has become wrong
changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from appliance.configuration import settings_of
from appliance.errors import ConfigurationInvalid
from appliance.settings import Page, Settings
from appliance.toml_lines import read_before_error
from store_forward.durable import make_folder, write_durably

IN_FORCE: Final = "in_force.toml"
_FROM: Final = "# from "
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Kept:
    """A configuration that could be used: where its copy lies, and since when (epoch s) it was in force."""

    settings: Settings
    path: Path
    since: float


def keep(home: Path, source: Path, text: str, now: float) -> Path:
    """Write the copy, durably, with one line on top; returns its path. Raises OSError."""
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    head = f"{_FROM}{json.dumps([str(source.resolve()), now])} in force since {at}; change that file, not this copy\n"
    make_folder(home)
    write_durably(home / IN_FORCE, (head + text).encode())
    return home / IN_FORCE


def kept(home: Path, source: Path) -> Kept | None:
    """What was last in force and came from the same file; None when there is nothing that can be used."""
    path = home / IN_FORCE
    try:
        text = path.read_text(encoding="utf-8")
        came_from, since = json.JSONDecoder().raw_decode(text.removeprefix(_FROM))[0]
        if not text.startswith(_FROM) or came_from != str(source.resolve()):
            return None
        return Kept(settings_of(text, str(path)), path, float(since))
    except (OSError, ValueError, TypeError, ConfigurationInvalid):
        return None  # no copy, a torn one, or one of an older version: as if there were none


def home_of(text: str) -> Path:
    """The home that a configuration names which cannot be used as a whole."""
    if home := os.environ.get("SCANSIDE_HOME"):
        return Path(home)
    return _or_default(lambda: TypeAdapter(Path).validate_python(read_before_error(text)["home"]), Path("var"))


def page_of(text: str) -> Page:
    """The address of the page that such a configuration names, each part that can be read; else the defaults."""
    section: Any = read_before_error(text).get("page")
    given: dict[str, Any] = section if isinstance(section, dict) else {}
    host = _or_default(lambda: Page.model_validate({"host": given["host"]}).host, Page().host)
    port = _or_default(lambda: Page.model_validate({"port": given["port"]}).port, Page().port)
    return Page(host=host, port=port)


def _or_default(read: Callable[[], _Value], default: _Value) -> _Value:
    try:
        return read()
    except (KeyError, ValidationError):
        return default
