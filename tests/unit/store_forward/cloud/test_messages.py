"""Messages share the numbering of the answers; what a box says became of one stays in its row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection
from starlette.testclient import TestClient

from store_forward.cloud import cases, messages
from store_forward.cloud.cases import CLOUD_METADATA
from store_forward.cloud.endpoint import build_app
from store_forward.database import create_schema, open_database, writing
from store_forward.protocol import (
    MessageOutcome,
    NoticeBody,
    Outcome,
    Outcomes,
    ThresholdsBody,
    UploadMetadata,
    Verdict,
)
from tests.unit.store_forward.cloud.test_endpoint import OURS
from tests.unit.store_forward.running_cloud import link_to, running, settings_at

HELLO = NoticeBody(level="info", text="hello")
LINES = ThresholdsBody(pack_digest="f" * 64, routine_below=0.1, urgent_from=0.9)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A transaction on an empty cloud database."""
    engine = open_database(tmp_path / "cloud.sqlite")
    create_schema(engine, CLOUD_METADATA)
    with writing(engine) as opened:
        yield opened
    engine.dispose()


def answered(connection: Connection, digit: str) -> None:
    """One more answer for box-1."""
    upload = UploadMetadata(sha256=digit * 64, content_type="application/zip", box="box-1", priority=1)
    cases.store(connection, upload, 10, 5.0)
    case = cases.lease(connection)
    assert case is not None
    cases.answer(connection, case, Verdict(decision="urgent"), 6.0)


def told(seq: int, outcome: MessageOutcome, at: float, box: str = "box-1", reason: str | None = None) -> Outcomes:
    """What a box says became of one message."""
    return Outcomes(box=box, outcomes=[Outcome(seq=seq, outcome=outcome, reason=reason, at=at)])


def test_answers_and_messages_are_one_stream(connection: Connection) -> None:
    """A box that fetches page by page, whatever the page's length, gets each once and in order."""
    answered(connection, "a")
    messages.send(connection, ["box-1", "box-2"], HELLO, 7.0)
    answered(connection, "b")
    messages.send(connection, ["box-1"], LINES, 8.0)
    whole = messages.feed_after(connection, "box-1", 0, 10)
    places = {one.seq: "answer" for one in whole.answers} | {one.seq: "message" for one in whole.messages}
    assert [places[seq] for seq in whole.numbers] == ["answer", "message", "answer", "message"]
    assert [one.kind for one in whole.messages] == ["notice", "thresholds"]
    assert whole.messages[1].body == LINES.model_dump()
    for limit in (1, 2, 3):
        seen: list[int] = []
        for _ in itertools.repeat(None, 10):
            seen += messages.feed_after(connection, "box-1", seen[-1] if seen else 0, limit).numbers
        assert seen == whole.numbers
    assert len(messages.feed_after(connection, "box-2", 0, 10).numbers) == 1


def test_what_became_of_a_message_is_kept(connection: Connection) -> None:
    """Told again it changes nothing; an earlier word that comes late does not undo an acknowledgement."""
    [seq] = messages.send(connection, ["box-1"], HELLO, 7.0)
    assert messages.sent(connection, None, 10)[0].outcome is None
    for outcome, at in ((MessageOutcome.SHOWN, 8.0), (MessageOutcome.ACKNOWLEDGED, 9.0), (MessageOutcome.SHOWN, 8.0)):
        messages.note(connection, told(seq, outcome, at))
    [row] = messages.sent(connection, "box-1", 10)
    assert (row.outcome, row.reason, row.outcome_at) == ("acknowledged", None, 9.0)


def test_a_box_speaks_of_its_own_messages_only(connection: Connection) -> None:
    """Neither another box's message nor an answer gets an outcome."""
    [seq] = messages.send(connection, ["box-1"], LINES, 7.0)
    answered(connection, "a")
    messages.note(connection, told(seq, MessageOutcome.APPLIED, 8.0, box="box-2"))
    messages.note(connection, told(seq + 1, MessageOutcome.APPLIED, 8.0))
    assert [row.outcome for row in messages.sent(connection, None, 10)] == [None]


def test_over_the_wire(tmp_path: Path) -> None:
    """A notice reaches the box that asks, and its outcome the cloud; who has asked is known from then on."""
    settings = settings_at(tmp_path)
    with running(settings) as port, link_to(port) as link:
        assert link.fetch(0, 0.0).numbers == []
        engine = open_database(settings.database)
        with writing(engine) as connection:
            assert messages.known_boxes(connection) == ["box-1"]
            [seq] = messages.send(connection, ["box-1"], HELLO, 7.0)
        [message] = link.fetch(0, 5.0).messages
        assert (message.seq, message.kind, message.body) == (seq, "notice", {"level": "info", "text": "hello"})
        assert link.fetch(seq, 0.0).numbers == []
        for _ in range(2):
            link.tell([Outcome(seq=seq, outcome=MessageOutcome.REFUSED, reason="unreadable", at=9.0)])
        with writing(engine) as connection:
            [row] = messages.sent(connection, None, 10)
        engine.dispose()
    assert (row.outcome, row.reason, row.outcome_at) == ("refused", "unreadable", 9.0)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {}, 400),
        (b"no json", {}, 400),
        (b'{"box": "b", "outcomes": [{"seq": 0, "outcome": "shown", "at": 1}]}', {}, 400),
        (b'{"box": "b", "outcomes": [{"seq": 1, "outcome": "lost", "at": 1}]}', {}, 400),
        (b" " * 1_100_000, {}, 413),
        (b'{"box": "b", "outcomes": []}', {"Tus-Resumable": "0.1"}, 412),
        (b'{"box": "b", "outcomes": [{"seq": 99, "outcome": "shown", "at": 1}]}', {}, 204),
    ],
)
def test_outcomes_that_make_no_sense(tmp_path: Path, content: bytes, headers: dict[str, str], status: int) -> None:
    """Refused in our own name; about a message that nobody sent, nothing is kept."""
    with TestClient(build_app(settings_at(tmp_path)), headers=OURS) as client:
        reply = client.post("/v1/outcomes", content=content, headers=headers)
    assert (reply.status_code, reply.headers["Tus-Resumable"]) == (status, "1.0.0")
