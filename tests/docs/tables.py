"""The reference tables that follow from the code: each a function that returns Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import typer
from sqlalchemy import Column, MetaData

import appliance.home as home  # all tables of the box are known after this
from appliance.cli import app
from appliance.errors import ReceiveError
from appliance.ingest.callers import Refusal
from appliance.ingest.receiver import storage_sop_classes
from appliance.ingest.receiver import transfer_syntaxes as accepted_syntaxes
from models.reasons import EXPLANATIONS, SCOPE_REASONS, Reason
from store_forward.cloud import boxes as boxes  # its tables must be known
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.database import METADATA
from tests.docs import api_tables, conformance_tables, deidentification_tables, dicomweb_tables, pack_tables
from tests.docs.markdown import table
from tests.docs.model_tables import cloud_limits, configuration, events, messages

assert home.Home is not None


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


def association_refusals() -> str:
    """Every cause for which an association is refused, with what its A-ASSOCIATE-RJ says."""
    rows = (
        (
            f"`{one.cause}`",
            f"{one.result} / {one.source} / {one.reason}",
            one.repair.partition("; ")[0],
            one.repair.partition("; ")[2],
        )
        for one in Refusal
    )
    return table(("Cause", "Result / source / reason", "Meaning", "What to do"), rows)


def sop_classes() -> str:
    """Every storage SOP class the receiver accepts."""
    return table(("SOP class", "UID"), ((uid.name, f"`{uid}`") for uid in storage_sop_classes()))


def transfer_syntaxes() -> str:
    """Every transfer syntax the receiver accepts."""
    return table(("Transfer syntax", "UID"), ((uid.name, f"`{uid}`") for uid in accepted_syntaxes()))


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
    if inside is None or command.invoke_without_command:
        yield path, command
    if inside is None:
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
    ("docs/reference/errors.md", "association-refusals"): association_refusals,
    ("docs/reference/conformance-statement.md", "services"): conformance_tables.services,
    ("docs/reference/conformance-statement.md", "association-parameters"): conformance_tables.association_parameters,
    ("docs/reference/conformance-statement.md", "result-objects"): conformance_tables.result_objects,
    ("docs/reference/conformance-statement.md", "sop-classes"): sop_classes,
    ("docs/reference/conformance-statement.md", "transfer-syntaxes"): transfer_syntaxes,
    ("docs/reference/conformance-statement.md", "deidentification"): deidentification_tables.options,
    ("docs/reference/conformance-statement.md", "audit-messages"): conformance_tables.audit_messages,
    ("docs/reference/de-identification.md", "deidentification-options"): deidentification_tables.options,
    ("docs/reference/de-identification.md", "deidentification-fates"): deidentification_tables.fates,
    ("docs/reference/de-identification.md", "deidentification-kinds"): deidentification_tables.kinds,
    ("docs/reference/de-identification.md", "deidentification-allow-list"): deidentification_tables.allow_list,
    ("docs/reference/dicomweb.md", "resources"): dicomweb_tables.resources,
    ("docs/reference/dicomweb.md", "attributes"): dicomweb_tables.attributes,
    ("docs/reference/dicomweb.md", "frame-media-types"): dicomweb_tables.frame_media_types,
    ("docs/reference/api.md", "resources"): api_tables.resources,
    ("docs/reference/api.md", "problems"): api_tables.problems,
    ("docs/reference/api.md", "schemas"): api_tables.schemas,
    ("docs/reference/metrics.md", "metrics"): api_tables.metrics,
    ("docs/reference/wire-protocol.md", "messages"): messages,
    ("docs/reference/webhook-events.md", "events"): events,
    ("docs/reference/database.md", "box"): box_tables,
    ("docs/reference/database.md", "cloud"): cloud_tables,
    ("docs/reference/command-line.md", "commands"): commands,
    ("docs/reference/packs.md", "figures"): pack_tables.figures,
    ("docs/reference/packs.md", "candidates"): pack_tables.candidates,
    ("docs/reference/packs.md", "heads"): pack_tables.heads,
    ("docs/reference/packs.md", "gates"): pack_tables.gates,
    ("docs/reference/packs.md", "robustness-cxr"): pack_tables.robustness_of("cxr-pneumonia-paediatric"),
    ("docs/reference/packs.md", "robustness-brain"): pack_tables.robustness_of("brain-mr-tumour"),
    ("docs/reference/packs.md", "robustness-breast"): pack_tables.robustness_of("breast-us-lesion"),
}
