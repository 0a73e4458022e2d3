"""Tables that follow from pydantic models: configuration keys, limits of the cloud endpoint, fields of messages."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from appliance.results.event import Event, EventAnswer, EventData, EventFinding, EventLines, EventPack
from appliance.settings import CallingPeer, Section, Settings
from store_forward.cloud.settings import CloudSettings
from store_forward.protocol import (
    Answer,
    AnswerFinding,
    Message,
    NoticeBody,
    Outcome,
    Outcomes,
    Receipt,
    ThresholdsBody,
    UploadMetadata,
)
from tests.docs.markdown import table

#: A number's unit, from how its key ends. Ports, and nothing else, have none.
UNITS: Final = {
    "_s": "s",
    "_days": "days",
    "_bytes": "bytes",
    "max_pixels": "pixels",
    "_kbit_per_s": "kbit/s",
    "_instances": "instances",
    "_associations": "associations",
    "_connections_per_address": "connections",
    "_connections": "connections",
    "_uploads": "uploads",
    "_stores": "requests",
    "_results": "answers",
    "_answers": "answers",
    "_attempts": "attempts",
    "_requests": "requests",
    "per_minute": "per minute",
}


def unit_of(key: str) -> str:
    """The unit a key's name ends in; a dash for what is no quantity."""
    return next((unit for ending, unit in UNITS.items() if key.endswith(ending)), "–")


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of the TOML file with its model, the whole file (``""``) first."""
    yield "", Settings
    for name, field in Settings.model_fields.items():
        model = _model_in(field.annotation)
        if model is None:
            continue
        yield (f"[[{name}]]" if typing.get_origin(field.annotation) is tuple else f"[{name}]"), model
        yield from _within(name, model)


def _within(name: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for key, inner in model.model_fields.items():
        if (nested := _model_in(inner.annotation)) is not None:
            yield (f"[{name}.{key}.NAME]" if nested is CallingPeer else f"[{name}.{key}]"), nested
            yield from _within(f"{name}.{key}", nested)


def configuration() -> str:
    """Every key of the configuration file."""
    parts = []
    for name, model in sections():
        rows = list(_keys(model))
        if rows:
            title = f"`{name}`" if name else "Before the first table"
            parts.append(f"### {title}\n\n" + table(("Key", "Default", "Unit", "Allowed", "Meaning"), iter(rows)))
    return "\n\n".join(parts)


def cloud_limits() -> str:
    """What the cloud endpoint holds itself to; set in code."""
    return table(("Limit", "Default", "Unit", "Allowed", "Meaning"), _keys(CloudSettings))


def _keys(model: type[BaseModel]) -> Iterator[Sequence[str]]:
    for name, field in model.model_fields.items():
        if _model_in(field.annotation) is None and name not in ("peers", "token"):
            yield f"`{name}`", _default(field), unit_of(name), _allowed(field), field.description or ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    found = [annotation, *typing.get_args(annotation)]
    return next((one for one in found if isinstance(one, type) and issubclass(one, Section)), None)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | Path):
        return f'`"{value}"`'
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{one}"' for one in value) + "]`"
    return f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    words = [_type_words(field.annotation, null=field.is_required())]
    for rule in _rules(field):
        words += _rule_words(rule)
    return ", ".join(words)


def _rules(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for one in typing.get_args(field.annotation):
        yield from getattr(one, "__metadata__", ())


def _rule_words(rule: Any) -> list[str]:
    if isinstance(rule, annotated_types.Ge):
        return [f"at least {rule.ge}"]
    if isinstance(rule, annotated_types.Gt):
        return [f"over {rule.gt}"]
    if isinstance(rule, annotated_types.Le):
        return [f"at most {rule.le}"]
    if isinstance(rule, FieldInfo):
        return [words for one in rule.metadata for words in _rule_words(one)]
    low, high = getattr(rule, "min_length", None), getattr(rule, "max_length", None)
    if low is not None and high is not None:
        return [f"{low} to {high} characters"]
    if low is not None:
        return [f"at least {low} long"]
    if high is not None:
        return [f"at most {high} long"]
    pattern = getattr(rule, "pattern", None)
    return [f"matches `{pattern}`"] if pattern else []


def _type_words(annotation: Any, *, null: bool = False) -> str:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f'`"{one}"`' for one in inside)
    if origin in (types.UnionType, typing.Union):
        type_words = _type_words(next(one for one in inside if one is not type(None)))
        return f"{type_words} or null" if null and type(None) in inside else type_words
    if origin is tuple:
        return "list of strings"
    if origin is list:
        return f"list of `{inside[0].__name__}`"
    if origin is dict:
        return "object"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f'`"{one.value}"`' for one in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"`{annotation.__name__}`"
    if origin is typing.Annotated:
        return _type_words(inside[0])
    words = {int: "whole number", float: "number", bool: "`true` or `false`", str: "string", Path: "path"}
    return words.get(annotation, "string")


def messages() -> str:
    """The fields of what box and cloud say to each other."""
    said = (UploadMetadata, Receipt, Answer, AnswerFinding, Message, NoticeBody, ThresholdsBody, Outcomes, Outcome)
    return _fields(*said)


def events() -> str:
    """The fields of what a webhook is told."""
    return _fields(Event, EventData, EventFinding, EventPack, EventLines, EventAnswer)


def _fields(*models: type[BaseModel]) -> str:
    parts = []
    for model in models:
        rows = (
            (f"`{name}`", "must be there" if field.is_required() else _when_absent(field), _allowed(field))
            for name, field in model.model_fields.items()
        )
        parts.append(f"### `{model.__name__}`\n\n" + table(("Field", "Default", "Allowed"), rows))
    return "\n\n".join(parts)


def _when_absent(field: FieldInfo) -> str:
    if isinstance(field.default, str) and field.default:
        return f"`{field.default}`"
    return "none" if field.default is None else "empty"
