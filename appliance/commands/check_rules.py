"""``scanside check --rules``: what the rules of the configuration would do with files, without doing it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from appliance.rules.conditions import first_unmet, values_of
from appliance.rules.verdict import Verdict, is_for, verdict_on
from appliance.settings import Rule, Settings
from models.errors import CannotTriage
from models.pixels import open_dicom

_LONGEST_VALUE = 64


def try_rules(settings: Settings, paths: list[Path], sender: str) -> Iterator[dict[str, Any]]:
    """One row for each file: every rule and whether it matches, and what then counts for the image from this sender.

    A file that cannot be read has ``error`` instead.
    """
    for path in _files(paths):
        try:
            header = open_dicom(path, with_pixels=False, max_inflated_bytes=settings.limits.max_decoded_bytes)
        except (CannotTriage, OSError) as unreadable:
            yield {"path": str(path), "error": f"cannot be read: {unreadable}"}
            continue
        yield {"path": str(path), **asked_of(settings.rule, header, sender)}


def asked_of(rules: tuple[Rule, ...], header: Dataset, sender: str) -> dict[str, Any]:
    """Every rule and whether it matches an image with this header, and what then counts for it from this sender."""
    return {"rules": [_asked(rule, header, sender) for rule in rules], **_counting(verdict_on(rules, header, sender))}


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def _asked(rule: Rule, header: Dataset, sender: str) -> dict[str, Any]:
    if not is_for(rule, sender):
        because = f"the sender {'is ' + sender if sender else 'is not given'}"
        return {"rule": rule.name, "matches": False, "because": because}
    unmet = first_unmet(rule.match, header)
    if unmet is None:
        return {"rule": rule.name, "matches": True, "because": ", ".join(rule.match) or "the sender"}
    return {"rule": rule.name, "matches": False, "because": f"{unmet} {_found(header, unmet)}"}


def _found(header: Dataset, keyword: str) -> str:
    """What stands there, fit to be shown: no control characters, and not at length."""
    values = values_of(header, keyword)
    if not values:
        return "has no value"
    texts = [value for value in values if isinstance(value, str)]
    if not texts:
        return "has no such item" if isinstance(values[0], Dataset) else "has a value that is no text"
    shown = "\\".join(texts)
    shown = "".join(c if c.isprintable() else "?" for c in shown)
    return f'is "{shown[:_LONGEST_VALUE]}{"…" if len(shown) > _LONGEST_VALUE else ""}"'


def _counting(verdict: Verdict) -> dict[str, Any]:
    read, to, priority = verdict.triage, verdict.send_to, verdict.priority
    return {
        "triage": {"does": read.triage if read else "include", "rule": read.name if read else None},
        "send_to": {"does": list(to.send_to or ()) if to else None, "rule": to.name if to else None},
        "priority": {"does": priority.priority if priority else None, "rule": priority.name if priority else None},
    }


def as_text(row: dict[str, Any]) -> str:
    """The same for a person, several lines."""
    if "error" in row:
        return f"{row['path']}\n  {row['error']}"
    lines = [row["path"]]
    for one in row["rules"] or [{"rule": "", "matches": None, "because": ""}]:
        if one["matches"] is None:
            lines.append("  the configuration has no [[rule]]")
        else:
            lines.append(f"  {one['rule']}: {'matches' if one['matches'] else 'does not match'}: {one['because']}")
    names = {"include": "read", "exclude": "not read", "phantom": "not read, and nothing is sent"}
    lines.append(f"  -> {names[row['triage']['does']]}{_by(row['triage'])}")
    if row["triage"]["does"] != "phantom":
        to = row["send_to"]
        where = "every archive" if to["does"] is None else ", ".join(to["does"]) or "no archive"
        lines.append(f"  -> results to {where}{_by(to)}")
        lines.append(f"  -> priority {row['priority']['does'] or 'by the decision'}{_by(row['priority'])}")
    return "\n".join(lines)


def _by(said: dict[str, Any]) -> str:
    return f" ({said['rule']})" if said["rule"] else " (no rule says otherwise)"
