"""Reading the configuration: one TOML file, validated whole at start, each error with key, value, reason and repair."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import BaseModel, ValidationError

from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings


def load_settings(path: Path | None) -> Settings:
    """Read and validate the configuration; without a file, the defaults.

    ``SCANSIDE_CONFIG`` names a file, ``SCANSIDE_HOME`` overrides ``home``.

    Raises:
        ConfigurationInvalid: the file is missing, is not TOML, or any key is wrong; names every wrong key.
    """
    named = path or (Path(os.environ["SCANSIDE_CONFIG"]) if os.environ.get("SCANSIDE_CONFIG") else None)
    values = _read_toml(named) if named else {}
    if home := os.environ.get("SCANSIDE_HOME"):
        values["home"] = home
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigurationInvalid(str(named or "defaults"), _explain(error)) from None


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationInvalid(str(path), ("no such file; give --config the path of a TOML file",)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(str(path), (f"cannot be read: {error}",)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(str(path), (f"is not valid TOML: {error}; correct that line",)) from None


def _explain(error: ValidationError) -> tuple[str, ...]:
    return tuple(_explain_one(item["loc"], item["input"], item["type"], item["msg"]) for item in error.errors())


def _explain_one(location: tuple[int | str, ...], value: object, kind: str, message: str) -> str:
    key = ".".join(str(part) for part in location) or "(whole file)"
    if kind == "extra_forbidden":
        return f"{key}: there is no such key; see docs/reference/configuration.md for all of them"
    if kind == "missing":
        return f"{key}: is missing; add it"
    shown = "" if isinstance(value, dict | list | tuple | BaseModel) else f" = {value!r}"
    reason = message.removeprefix("Value error, ")
    return f"{key}{shown}: {reason}; correct it or remove the line for the default"


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
        raise ConfigurationInvalid(str(file), (f"secret cannot be read: {error.strerror}",)) from None
    if not text:
        raise ConfigurationInvalid(str(file), ("secret file is empty; put the token in it",))
    return text
