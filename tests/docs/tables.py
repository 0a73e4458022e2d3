"""The reference tables that follow from the code: each a function that returns Markdown."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import annotated_types
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydicom.uid import AllTransferSyntaxes
from sqlalchemy import Column, MetaData

import appliance.home as home  # all tables of the box are known after this
from appliance.cli import app
from appliance.errors import ReceiveError
from appliance.ingest.receiver import storage_sop_classes
from appliance.settings import CallingPeer, Section, Settings
from models.reasons import EXPLANATIONS, SCOPE_REASONS, Reason
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.settings import CloudSettings
from store_forward.database import METADATA
from store_forward.protocol import Answer, AnswerFinding, Receipt, UploadMetadata

assert home.Home is not None

#: A number's unit, from how its key ends. Ports, and nothing else, have none.
UNITS: Final = {
    "_s": "s",
    "_bytes": "bytes",
    "max_pixels": "pixels",
    "_instances": "instances",
    "_associations": "associations",
    "_connections_per_address": "connections",
    "_connections": "connections",
    "_uploads": "uploads",
    "_answers": "answers",
    "_attempts": "attempts",
    "per_minute": "per minute",
}


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """A Markdown table; bars inside a cell are escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


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
        if name == "dicom":
            yield "[dicom.peers.AE_TITLE]", CallingPeer


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
    words = [_type_words(field.annotation)]
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


def _type_words(annotation: Any) -> str:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(f'`"{one}"`' for one in inside)
    if origin in (types.UnionType, typing.Union):
        return _type_words(next(one for one in inside if one is not type(None)))
    if origin is tuple:
        return "list of strings"
    if origin is list:
        return f"list of `{inside[0].__name__}`"
    if origin is typing.Annotated:
        return _type_words(inside[0])
    words = {int: "whole number", float: "number", bool: "`true` or `false`", str: "string", Path: "path"}
    return words.get(annotation, "string")


def reasons() -> str:
    """Every reason code, what it means and what to do."""
    rows = (
        (f"`{reason.value}`", EXPLANATIONS[reason], "yes" if reason in SCOPE_REASONS else "no") for reason in Reason
    )
    return table(("Reason", "What it means and what to do", "Out of scope"), rows)


def receive_errors() -> str:
    """Every status that a sender can get for an instance that is not taken in."""
    rows = (
        (f"`0x{kind.dicom_status:04X}`", f"`{kind.reason}`", f"`{kind.__name__}`", (kind.__doc__ or "").strip())
        for kind in sorted(ReceiveError.__subclasses__(), key=lambda kind: kind.dicom_status)
    )
    return table(("Status", "Reason", "Raised as", "When"), rows)


def sop_classes() -> str:
    """Every storage SOP class the receiver accepts."""
    return table(("SOP class", "UID"), ((uid.name, f"`{uid}`") for uid in storage_sop_classes()))


def transfer_syntaxes() -> str:
    """Every transfer syntax the receiver accepts."""
    return table(("Transfer syntax", "UID"), ((uid.name, f"`{uid}`") for uid in AllTransferSyntaxes))


def messages() -> str:
    """The fields of what box and cloud say to each other."""
    parts = []
    for model in (UploadMetadata, Receipt, Answer, AnswerFinding):
        rows = (
            (f"`{name}`", "must be there" if field.is_required() else _when_absent(field), _allowed(field))
            for name, field in model.model_fields.items()
        )
        parts.append(f"### `{model.__name__}`\n\n" + table(("Field", "Default", "Allowed"), rows))
    return "\n\n".join(parts)


def _when_absent(field: FieldInfo) -> str:
    return "none" if field.default is None else "empty"


def box_tables() -> str:
    """Every table of the box's database."""
    return _database(METADATA)


def cloud_tables() -> str:
    """Every table of the cloud's database."""
    return _database(CLOUD_METADATA)


def _database(metadata: MetaData) -> str:
    parts = []
    for name, one in sorted(metadata.tables.items()):
        rows = ((f"`{c.name}`", str(c.type), "yes" if c.nullable else "no", _key_words(c)) for c in one.columns)
        parts.append(f"### `{name}`\n\n" + table(("Column", "Type", "May be null", "Key"), rows))
    return "\n\n".join(parts)


def _key_words(column: Column[Any]) -> str:
    primary = ["primary key"] if column.primary_key else []
    return ", ".join([*primary, *(f"→ `{key.target_fullname}`" for key in column.foreign_keys)])


def commands() -> str:
    """Every command with its arguments and options."""
    return "\n\n".join(_command(path, command) for path, command in all_commands())


def all_commands() -> Iterator[tuple[str, Any]]:
    """Every command a person may call, with its whole name; groups are walked through, hidden ones left out."""
    yield from _walk("scanside", typer.main.get_command(app))


def _walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    if command.hidden:
        return
    inside = getattr(command, "commands", None)
    if inside is None:
        yield path, command
        return
    for name, one in inside.items():
        yield from _walk(f"{path} {name}", one)


def _command(path: str, command: Any) -> str:
    rows = []
    for one in command.params:
        name = ", ".join(one.opts) if one.param_type_name == "option" else (one.metavar or one.name.upper())
        rows.append((f"`{name}`", _option_default(one), one.help or ""))
    text = f"### `{path}`\n\n{command.help.strip()}"
    return f"{text}\n\n{table(('Argument or option', 'Default', 'Meaning'), iter(rows))}" if rows else text


def _option_default(one: Any) -> str:
    if one.required:
        return "must be given"
    if getattr(one, "is_flag", False):
        return "off"
    return "none" if one.default is None else f"`{one.default}`"


#: Which table stands in which document.
TABLES: Final[dict[tuple[str, str], Callable[[], str]]] = {
    ("docs/reference/configuration.md", "configuration"): configuration,
    ("docs/reference/configuration.md", "cloud-limits"): cloud_limits,
    ("docs/reference/states.md", "reasons"): reasons,
    ("docs/reference/errors.md", "receive-errors"): receive_errors,
    ("docs/reference/dicom.md", "sop-classes"): sop_classes,
    ("docs/reference/dicom.md", "transfer-syntaxes"): transfer_syntaxes,
    ("docs/reference/wire-protocol.md", "messages"): messages,
    ("docs/reference/database.md", "box"): box_tables,
    ("docs/reference/database.md", "cloud"): cloud_tables,
    ("docs/reference/command-line.md", "commands"): commands,
}
