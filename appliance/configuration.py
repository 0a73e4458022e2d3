"""Reading the configuration: one TOML file, validated whole at start, each error with key, value, reason and repair."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from appliance.errors import ConfigurationInvalid, Problem
from appliance.settings import Settings
from appliance.toml_lines import Lines, line_of, lines_of


def configuration_file(path: Path | None) -> Path | None:
    """The file that is meant: the one given, else that of ``SCANSIDE_CONFIG``; none: the defaults."""
    return path or (Path(os.environ["SCANSIDE_CONFIG"]) if os.environ.get("SCANSIDE_CONFIG") else None)


def load_settings(path: Path | None) -> Settings:
    """Read and validate the configuration; without a file, the defaults.

    ``SCANSIDE_CONFIG`` names a file, ``SCANSIDE_HOME`` overrides ``home``.

    Raises:
        ConfigurationInvalid: the file is missing, is not TOML, or any key is wrong; names every wrong key.
    """
    named = configuration_file(path)
    return settings_of(read_text(named), str(named)) if named else settings_of("", "defaults")


def settings_of(text: str, source: str) -> Settings:
    """The settings that the text of a configuration file means. Raises ConfigurationInvalid."""
    values = _parsed(text, source)
    if home := os.environ.get("SCANSIDE_HOME"):
        values["home"] = home
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationInvalid(source, _explain(error, text)) from None


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises ConfigurationInvalid: there is none to be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationInvalid(str(path), ("no such file; give --config the path of a TOML file",)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(str(path), (f"cannot be read: {error}",)) from None


def _parsed(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else len(text.splitlines())
        problem = Problem("", f"is not valid TOML: {error}", "correct that line", line)
        raise ConfigurationInvalid(source, (problem,)) from None


def _explain(error: ValidationError, text: str) -> tuple[Problem, ...]:
    lines = lines_of(text)
    return tuple(_explain_one(item["loc"], item["input"], item["type"], item["msg"], lines) for item in error.errors())


def _explain_one(location: tuple[int | str, ...], value: object, kind: str, message: str, lines: Lines) -> Problem:
    key, line = ".".join(str(part) for part in location) or "(whole file)", line_of(location, lines)
    if kind == "extra_forbidden":
        return Problem(key, "there is no such key", "see docs/reference/configuration.md for all of them", line)
    if kind == "missing":
        return Problem(key, "is missing", "add it", line)
    shown = "" if isinstance(value, dict | list | tuple | BaseModel) else f" = {value!r}"
    reason = message.removeprefix("Value error, ")
    return Problem(key, reason, "correct it or remove the line for the default", line, shown)


def secret(file: Path | None, variable: str) -> str | None:
    """The secret a file or else an environment variable holds; ``None`` when neither is there.

    Raises:
        ConfigurationInvalid: the named file cannot be read or is empty.
    """
    if file is None:
        return os.environ.get(variable) or None
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        words = f"secret cannot be read: {error.strerror}; put it there, readable by this user"
        raise ConfigurationInvalid(str(file), (words,)) from None
    if not text:
        raise ConfigurationInvalid(str(file), ("secret file is empty; put the token in it",))
    return text
