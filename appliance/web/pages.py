"""Templates: everything that is put into them is escaped, and a name they do not know is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from babel import Locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from appliance.settings import Settings
from appliance.web import language, wording
from appliance.web.event_words import event_words
from appliance.web.listing import WorklistRequest
from appliance.web.standing import CONFIRMATION_WORDS, DECISION_WORDS

FOLDER = Path(__file__).parent
PRODUCT = "Scanside"
RESEARCH_USE = language.later("Research use only. Not for diagnosis.")


def make_templates(settings: Settings) -> Environment:
    """The environment the pages of this box are rendered in."""
    env = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_callables(language.gettext, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
    env.filters |= {
        "age": wording.age_words,
        "machine_time": wording.machine_time,
        "percent": wording.percent_words,
        "size": wording.size_words,
        "span": wording.jump_words,
        "latency": wording.latency_words,
        "number": wording.number_words,
        "share": wording.share_words,
        "plain": wording.plain,
        "person_name": wording.person_name,
        "patient_age": wording.patient_age,
        "dicom_date": wording.dicom_date,
        "reason": wording.reason_words,
        "short_uid": wording.short_uid,
        "event": event_words,
        "in_path": lambda value: quote(value, safe=""),
    }
    env.globals |= {
        "product": PRODUCT,
        "research_use": RESEARCH_USE,
        "box_id": settings.cloud.box_id,
        "ae_title": settings.dicom.ae_title,
        "dicom_port": settings.dicom.port,
        "decision_words": language.Spoken(DECISION_WORDS),
        "confirmation_words": language.Spoken(CONFIRMATION_WORDS),
        "alone_words": wording.alone_words,
        "filling_words": wording.filling_words,
        "room_words": language.Spoken(wording.ROOM_WORDS),
        "clock": wording.clock_words,
        "count": wording.count_words,
        "static_version": static_version(),
        "worklist_query": worklist_query,
        "title_count": title_count,
        "language": language.language,
        "languages": {code: Locale(code).get_display_name(code) for code in language.LANGUAGES},
        "locale": language.locale,
    }
    return env


def static_version() -> str:
    """A digest of style and script, so that a browser never keeps those of an older version."""
    content = b"".join(path.read_bytes() for path in sorted((FOLDER / "static").rglob("*")) if path.is_file())
    return hashlib.sha256(content).hexdigest()[:12]


def worklist_query(request: WorklistRequest, **changed: Any) -> str:
    """The query string, with its question mark, that asks for ``request`` with some fields changed.

    Another part of the list than before begins at its first page.
    """
    values = {name: getattr(request, name) for name in WorklistRequest.__dataclass_fields__}
    values |= {"after": None, "before": None, "last": False} | changed
    plain = WorklistRequest()
    asked = {name: value for name, value in values.items() if value != getattr(plain, name)}
    return f"?{urlencode(asked)}" if asked else ""


def title_count(counts: Mapping[str, int]) -> str:
    """What stands before the title of the browser's tab: the urgent studies, or nothing."""
    urgent = counts.get("urgent", 0)
    return language.gettext("(%(number)d urgent) ") % {"number": urgent} if urgent else ""
