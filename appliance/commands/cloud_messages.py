"""``scanside cloud notice``, ``thresholds`` and ``messages``: what the operator tells boxes, and what became of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

import typer
from pydantic import ValidationError
from sqlalchemy import Engine

from appliance.errors import ConfigurationInvalid
from appliance.settings import Settings
from models.decision import Thresholds
from store_forward.cloud import messages
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.database import create_schema, open_database, reading, writing
from store_forward.protocol import NoticeBody, ThresholdsBody

_BOX = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def notice(text: str, level: Literal["info", "warning"]) -> NoticeBody:
    """The body of a notice. Raises typer.BadParameter."""
    if not text.isprintable() or not text.strip():
        raise typer.BadParameter("the text must be one line of words without control characters")
    try:
        return NoticeBody(level=level, text=text)
    except ValidationError:
        raise typer.BadParameter("the text has at most 1000 characters; make it shorter") from None


def thresholds(pack_digest: str, routine_below: float, urgent_from: float) -> ThresholdsBody:
    """The body of new lines. Raises typer.BadParameter."""
    if _DIGEST.fullmatch(pack_digest) is None:
        raise typer.BadParameter("a pack's digest has 64 hexadecimal digits; scanside models list shows it")
    try:
        lines = Thresholds(routine_below=routine_below, urgent_from=urgent_from)
    except ValidationError:
        raise typer.BadParameter("both lines lie in 0 to 1, --routine-below not above --urgent-from") from None
    return ThresholdsBody(pack_digest=pack_digest, **lines.model_dump())


def send_to(
    settings: Settings, body: NoticeBody | ThresholdsBody, boxes: list[str], all_boxes: bool
) -> list[dict[str, Any]]:
    """Number the message for each box. Raises typer.BadParameter: it is not said, or cannot be, to which."""
    if bool(boxes) == all_boxes:
        raise typer.BadParameter("say to whom: --box NAME, which may be repeated, or --all")
    for box in boxes:
        require_box_id(box)
    with cloud_database(settings) as engine, writing(engine) as connection:
        to = messages.known_boxes(connection) if all_boxes else list(dict.fromkeys(boxes))
        if not to:
            raise typer.BadParameter("no box has asked for answers yet; name one with --box")
        numbers = messages.send(connection, to, body, time.time())
    return [{"seq": number, "box": box} for number, box in zip(numbers, to, strict=True)]


def require_box_id(box: str) -> None:
    """Raises typer.BadParameter: no box can be called so."""
    if _BOX.fullmatch(box) is None:
        raise typer.BadParameter(f"{box!r} can be no box_id")


def sent_messages(settings: Settings, box: str | None, limit: int) -> list[dict[str, Any]]:
    """What was sent, the newest first, as plain values."""
    with cloud_database(settings) as engine, reading(engine) as connection:
        return [asdict(one) for one in messages.sent(connection, box, limit)]


def as_line(row: dict[str, Any]) -> str:
    """One message for a person."""
    at = datetime.fromtimestamp(row["sent_at"], UTC).strftime("%Y-%m-%d %H:%M")
    what = row["body"]["text"] if row["kind"] == "notice" else _lines(row["body"])
    became = row["outcome"] or "no word yet"
    reason = f" ({row['reason']})" if row["reason"] else ""
    return f"{row['seq']} {at} to {row['box']}: {became}{reason}: {row['kind']}: {what}"


def _lines(body: dict[str, Any]) -> str:
    between = f"routine below {body['routine_below']:.4g}, urgent from {body['urgent_from']:.4g}"
    return f"{body['pack_digest'][:12]} {between}"


@contextmanager
def cloud_database(settings: Settings) -> Iterator[Engine]:
    """The endpoint's database, which the endpoint may have open at the same time."""
    path = settings.home / "cloud" / "cloud.sqlite"
    if not path.exists():
        why = f"no cloud endpoint has run here: there is no {path}; give the endpoint's own --config"
        raise ConfigurationInvalid("cloud", (why,))
    engine = open_database(path)
    try:
        create_schema(engine, CLOUD_METADATA)
        yield engine
    finally:
        engine.dispose()
