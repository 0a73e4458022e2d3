"""``python -m tests.docs.catalogues``: bring the page's catalogues up to date with the messages of the code.

What is translated stays; a new message has an empty translation; one that is no longer said goes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from appliance.disk.quarantine import TROUBLE_WORDS
from appliance.schema import StudyState
from appliance.web.language import CATALOGUES, LANGUAGES
from appliance.web.wording import phrase, reason_sentence
from models.decision import Decision
from models.reasons import EXPLANATIONS
from models.registry import SHIPPED, Registry
from store_forward.destinations import Contact
from store_forward.outbox import DeliveryState
from tests.docs.blocks import ROOT
from tests.docs.code_facts import delivery_causes, report_causes, study_event_kinds

KEYWORDS = {"_": None, "gettext": None, "later": None, "ngettext": (1, 2)}
METHODS = [("**.py", "python"), ("web/templates/**.html", "jinja2")]
#: As ``make_templates`` reads them.
OPTIONS = {"web/templates/**.html": {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}}

DELIVERY_KINDS = ("escalation", "features", "report", "picture", "key_objects", "parametric_map", "event")

Message = str | tuple[str, ...]


def messages() -> list[Message]:
    """Every message of the box's code and templates, once each; a pair where there is a plural."""
    return sorted({*_of_code(), *_of_tables()}, key=_order)


def _of_code() -> Iterator[Message]:
    folder = str(ROOT / "appliance")
    for _file, _line, message, _comments, _context in extract_from_dir(folder, METHODS, OPTIONS, KEYWORDS):
        yield message


def _of_tables() -> Iterator[Message]:
    """Messages of modules that may not know of the page, and the codes that it shows as phrases."""
    yield from (reason_sentence(explanation) for explanation in EXPLANATIONS.values())
    yield from TROUBLE_WORDS.values()
    yield from (phrase(code) for code in _codes())


def _codes() -> Iterator[str]:
    for states in (StudyState, Decision, DeliveryState, Contact):
        yield from (state.value for state in states)
    yield from (*DELIVERY_KINDS, *delivery_causes(), *report_causes(), *study_event_kinds())
    for pack in Registry([SHIPPED]).in_use.values():
        yield from pack.manifest.findings


def read(path: Path) -> Catalog:
    """One catalogue. Raises PoFileError when it is not one."""
    with path.open("rb") as file:
        return read_po(file, locale=path.stem, abort_invalid=True)


def updated(path: Path) -> bytes:
    """The catalogue as it should lie there: sorted, without places and dates."""
    before, after = read(path), Catalog(locale=path.stem)
    for message in messages():
        known = before.get(message if isinstance(message, str) else message[0])
        same = known is not None and known.id == message
        after.add(message, known.string if known is not None and same else None)
    written = io.BytesIO()
    write_po(written, after, width=120, no_location=True, omit_header=True, sort_output=True)
    return _header(before).encode() + written.getvalue().rstrip() + b"\n"


def _header(catalogue: Catalog) -> str:
    fields = {
        "Language": str(catalogue.locale_identifier),
        "Content-Type": "text/plain; charset=utf-8",
        "Plural-Forms": catalogue.plural_forms,
    }
    lines = "".join(f'"{name}: {value}\\n"\n' for name, value in fields.items())
    return f'msgid ""\nmsgstr ""\n{lines}\n'


def _order(message: Message) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else message


def main() -> None:
    """Write every catalogue that has to change and say how much of it is missing."""
    for code in LANGUAGES[1:]:
        path = CATALOGUES / f"{code}.po"
        content = updated(path)
        if content != path.read_bytes():
            path.write_bytes(content)
        catalogue = read(path)
        missing = sum(one.id != "" and not all(forms(one.string)) for one in catalogue)
        sys.stdout.write(f"{path.name}: {len(catalogue)} messages, {missing} not translated\n")


def forms(string: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """The plural forms of a message or translation, or the one form it has."""
    return (string or "",) if isinstance(string, str | None) else tuple(string)


if __name__ == "__main__":
    main()
