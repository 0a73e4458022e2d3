"""The tables of the API reference and of the metrics, out of the OpenAPI description and the metrics' own list."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from appliance.web.api.problems import MEANINGS
from appliance.web.api.service import API_PATH, api_app
from appliance.web.metric_words import METRICS
from tests.docs.markdown import table

_ENDINGS = {"gauge": "", "counter": "_total", "info": "_info"}


def _description() -> dict[str, Any]:
    unused: Any = None  # nothing is answered here
    return api_app(unused).openapi()


def resources() -> str:
    """Every resource with what it is asked with and what it answers."""
    return table(("Resource", "What it does", "Asked with", "Answers"), _rows())


def _rows() -> Iterator[tuple[str, str, str, str]]:
    for path, resource in _description()["paths"].items():
        for method, one in resource.items():
            asked = [f"`{part['name']}`" for part in one.get("parameters", ()) if part["in"] == "query"]
            asked += [f"a body: {_kind(part)}" for part in one.get("requestBody", {}).get("content", {}).values()]
            answers = [_kind(part) for part in one["responses"]["200"]["content"].values()]
            words = " ".join(one["description"].split())
            yield f"`{method.upper()} {API_PATH}{path}`", words, ", ".join(asked) or "–", ", ".join(answers)


def schemas() -> str:
    """Every object that goes in or out, with its members."""
    parts = []
    for name, one in sorted(_description()["components"]["schemas"].items()):
        title = f"### `{name}`\n\n{_in_lines(one.get('description', ''))}\n\n"
        if one.get("type") == "object":
            needed = one.get("required", ())
            members = (
                (f"`{key}`", _kind({"schema": member}), "yes" if key in needed else "may be left out")
                for key, member in one.get("properties", {}).items()
            )
            parts.append(title + table(("Member", "Type", "There"), members))
        else:
            parts.append(title + table(("Value",), ([f"`{value}`"] for value in one["enum"])))
    return "\n\n".join(parts)


def _in_lines(words: str) -> str:
    text = words.replace("``", "`")
    return "\n\n".join(textwrap.fill(" ".join(part.split()), 118) for part in text.split("\n\n"))


def _kind(part: dict[str, Any]) -> str:
    schema = part.get("schema", part)
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2]}`"
    if "anyOf" in schema:
        return " or ".join(_kind({"schema": one}) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind({'schema': schema['items']})}" if "items" in schema else "list"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"by name, {_kind({'schema': inner})}" if isinstance(inner, dict) else "object"
    kind = str(schema.get("type", "any value"))
    return {"integer": "whole number", "boolean": "`true` or `false`"}.get(kind, kind)


def problems() -> str:
    """Every status that is no success, and the repair where the answer names no better one."""
    rows = ((f"`{status}`", title, repair) for status, (title, repair) in MEANINGS.items())
    return table(("Status", "Title", "Repair"), rows)


def metrics() -> str:
    """Every metric with its type and labels."""
    rows = (
        (f"`{one.name}{_ENDINGS[one.kind]}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in METRICS
    )
    return table(("Metric", "Type", "Labels", "Meaning"), rows)
