"""``scanside cloud notice``, ``thresholds`` and ``messages``: on the database of an endpoint that has run."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.settings import Settings
from store_forward.cloud import messages
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.database import create_schema, open_database, writing
from store_forward.protocol import MessageOutcome, Outcome, Outcomes
from tests.unit.appliance.commands.conftest import Scanside

DIGEST = "f" * 64
LINES = ["thresholds", DIGEST, "--routine-below", "0.01", "--urgent-from", "0.99"]


@pytest.fixture
def endpoint(settings: Settings) -> Path:
    """An endpoint's database in which two boxes are known."""
    path = settings.home / "cloud" / "cloud.sqlite"
    engine = open_database(path)
    create_schema(engine, CLOUD_METADATA)
    with writing(engine) as connection:
        for box in ("clinic-7", "clinic-8"):
            messages.meet(connection, box, 1.0)
    engine.dispose()
    return path


def test_a_notice_to_every_box(scanside: Scanside, endpoint: Path) -> None:
    """Each gets a number of its own; what became of it is listed."""
    sent = scanside("cloud", "notice", "We are away on Monday", "--warning", "--all", "--json")
    assert (sent.status, [row["box"] for row in sent.rows]) == (0, ["clinic-7", "clinic-8"])
    engine = open_database(endpoint)
    first = sent.rows[0]["seq"]
    shown = Outcome(seq=first, outcome=MessageOutcome.ACKNOWLEDGED, at=5.0)
    with writing(engine) as connection:
        messages.note(connection, Outcomes(box="clinic-7", outcomes=[shown]))
    engine.dispose()
    rows = scanside("cloud", "messages", "--json").rows
    assert [(row["box"], row["outcome"]) for row in rows] == [("clinic-8", None), ("clinic-7", "acknowledged")]
    assert rows[0]["body"] == {"level": "warning", "text": "We are away on Monday"}
    assert "to clinic-8: no word yet: notice: We are away on Monday" in scanside("cloud", "messages").out
    assert len(scanside("cloud", "messages", "--box", "clinic-7", "--json").rows) == 1


def test_lines_to_one_box(scanside: Scanside, endpoint: Path) -> None:
    """Also to one that has not asked yet."""
    assert scanside("cloud", *LINES, "--box", "clinic-9").status == 0
    (row,) = scanside("cloud", "messages", "--json").rows
    assert (row["box"], row["kind"]) == ("clinic-9", "thresholds")
    assert row["body"] == {"pack_digest": DIGEST, "routine_below": 0.01, "urgent_from": 0.99}
    assert f"{DIGEST[:12]} routine below 0.01, urgent from 0.99" in scanside("cloud", "messages").out


@pytest.mark.parametrize(
    ("words", "repair"),
    [
        (["notice", "hello"], "say to whom"),
        (["notice", "hello", "--box", "a", "--all"], "say to whom"),
        (["notice", "hello", "--box", "a/b"], "can be no box_id"),
        (["notice", "two\nlines", "--all"], "one line"),
        (["notice", "x" * 1001, "--all"], "at most 1000"),
        ([*LINES[:1], "f" * 12, *LINES[2:], "--all"], "64 hexadecimal"),
        ([*LINES[:3], "0.995", *LINES[4:], "--all"], "not above"),
        ([*LINES[:3], "nan", *LINES[4:], "--all"], "0 to 1"),
    ],
)
def test_wrong_use(scanside: Scanside, endpoint: Path, words: list[str], repair: str) -> None:
    """Status 2, with what to do instead; nothing is sent."""
    ended = scanside("cloud", *words)
    assert ended.status == 2
    assert repair in " ".join(ended.err.split())
    assert scanside("cloud", "messages", "--json").rows == []


def test_where_no_endpoint_has_run(scanside: Scanside) -> None:
    """No database is made in passing."""
    ended = scanside("cloud", "messages")
    assert ended.status == 2
    assert "no cloud endpoint has run here" in ended.err
