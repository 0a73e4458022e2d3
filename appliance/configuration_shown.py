"""The configuration in force, setting by setting: value, default, where it comes from and what it means.

Secrets never stand in it: the file names files and variables that hold them. What may be one inside of a URL is masked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from appliance.settings import Rule, Settings

Source = Literal["default", "file", "environment"]
MASK: Final = "•••"
#: Files that are looked at again while the box runs, by the end of their key; everything else counts from a start on.
_RENEWED: Final = ("tls.certificate", "tls.private_key", "tls.client_ca", "tls.client_crl", "tls.ca")


@dataclass(frozen=True)
class Setting:
    """One key. ``value`` and ``default`` are as TOML writes them, empty for none; ``at_once``: its file may change."""

    key: str
    value: str
    default: str
    source: Source
    description: str
    at_once: bool


def settings_shown(settings: Settings) -> list[Setting]:
    """Every setting there is, in the order of the reference; tables that are not there are left out."""
    return list(_walk(settings, ""))


def found_in(shown: list[Setting], words: str) -> list[Setting]:
    """Those that have every word in their key, value or description."""
    wanted = words.lower().split()
    return [one for one in shown if all(word in f"{one.key} {one.value} {one.description}".lower() for word in wanted)]


def as_toml(settings: Settings) -> str:
    """The whole configuration as a file that means the same, but for what is masked; none is left out."""
    head = "# The configuration in force, defaults included. What is secret is masked.\n"
    return head + "\n".join(_tables(settings, (), ()))


def rule_shown(rule: Rule) -> str:
    """What a rule says, in one line of TOML without its name."""
    said = {name: getattr(rule, name) for name in type(rule).model_fields if name in rule.model_fields_set - {"name"}}
    return ", ".join(f"{name} = {_toml(value)}" for name, value in said.items())


def _walk(section: BaseModel, above: str) -> Iterator[Setting]:
    given = section.model_fields_set
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{above}{name}"
        if isinstance(value, BaseModel):
            yield from _walk(value, f"{key}.")
        elif inside := _sections(value):
            for number, one in inside.items():
                yield from _walk(one, f"{key}.{number}.")
        else:
            source: Source = "file" if name in given else "default"
            if key == "home" and os.environ.get("SCANSIDE_HOME"):
                source = "environment"
            shown, default = _toml(_masked(value)), _default(field)
            yield Setting(key, shown, default, source, field.description or "", key.endswith(_RENEWED))


def _sections(value: object) -> dict[str, BaseModel]:
    if isinstance(value, Mapping):
        return {str(name): one for name, one in value.items() if isinstance(one, BaseModel)}
    if isinstance(value, tuple):
        named = [one for one in value if isinstance(one, BaseModel)]
        return {getattr(one, "name", str(number)): one for number, one in enumerate(named)}
    return {}


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True, validated_data={})
    return "" if default is PydanticUndefined else _toml(default)


def _tables(section: BaseModel, path: tuple[str, ...], head: tuple[str, ...]) -> Iterator[str]:
    """This table's own keys, then the tables inside of it."""
    values = {name: getattr(section, name) for name in type(section).model_fields}
    own = {name: value for name, value in values.items() if not isinstance(value, BaseModel) and not _sections(value)}
    yield from head
    yield from (f"{name} = {_toml(_masked(value))}" for name, value in own.items() if _is_said(value))
    for name, value in values.items():
        below = (*path, name)
        if isinstance(value, BaseModel):
            yield from _tables(value, below, ("", f"[{_dotted(below)}]"))
        elif isinstance(value, Mapping):
            for one, inside in _sections(value).items():
                yield from _tables(inside, (*below, one), ("", f"[{_dotted((*below, one))}]"))
        elif isinstance(value, tuple):
            for inside in _sections(value).values():
                yield from _tables(inside, below, ("", f"[[{_dotted(below)}]]"))


def _is_said(value: object) -> bool:
    """TOML has no word for none, and an empty tuple of tables is no key."""
    return value is not None and value != {}


def _dotted(path: tuple[str, ...]) -> str:
    plain = [all(c.isascii() and (c.isalnum() or c in "_-") for c in part) and bool(part) for part in path]
    return ".".join(part if bare else json.dumps(part) for part, bare in zip(path, plain, strict=True))


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_dotted((str(name),))} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, Path):
        return json.dumps(str(value), ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _masked(value: Any) -> Any:
    return masked_url(value) if isinstance(value, str) and value.startswith(("http://", "https://")) else value


def masked_url(url: str) -> str:
    """An address without what may be secret in it: user and password, and what stands behind a question mark."""
    parts = urlsplit(url)
    host = f"{MASK}@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    return parts._replace(netloc=host, query=MASK if parts.query else "").geturl()
