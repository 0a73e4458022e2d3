"""Answers are kept before the cursor moves; every destination that is configured gets what carries to it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from appliance.lane import Lane
from appliance.messages import acknowledge
from appliance.results.webhook import WebhookLink
from appliance.schema import answers, messages
from appliance.settings import Cloud, Pacs
from appliance.uplink import AnswerLane, CloudCarrier, build_lanes
from store_forward import outbox
from store_forward.database import reading, writing
from store_forward.outbox import deliveries, destinations
from store_forward.uplink import CloudLink
from tests.listening_box import wait_until
from tests.small_box import NOW, SmallBox
from tests.unit.appliance.couriers import enqueue, going_on


class FakeCloud:
    """A cloud on the far side of one HTTP transport: holds answers, notes what it was asked."""

    def __init__(self) -> None:
        self.answers: list[dict[str, object]] = []
        self.messages: list[dict[str, object]] = []
        self.told: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.reply: Callable[[], httpx2.Response] | None = None

    def answer(self, seq: int, case: str = "a" * 64) -> None:
        """One more answer for this box."""
        self.answers.append({"seq": seq, "case": case, "decision": "urgent", "answered_at": NOW})

    def message(self, seq: int, kind: str = "notice", **body: object) -> None:
        """One message for this box."""
        self.messages.append({"seq": seq, "kind": kind, "sent_at": NOW, "body": body})

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """One exchange."""
        if request.url.path == "/v1/outcomes":
            self.told.append(json.loads(request.content))
            return self.reply() if self.reply is not None else httpx2.Response(204)
        query = request.url.params
        self.asked.append((query.get("after", ""), query.get("wait_s", "")))
        if self.reply is not None:
            return self.reply()
        after = int(query["after"])
        found = [one for one in self.answers if int(str(one["seq"])) > after]
        messages = [one for one in self.messages if int(str(one["seq"])) > after]
        return httpx2.Response(200, content=json.dumps({"answers": found, "messages": messages}))

    def link(self) -> CloudLink:
        """The box's link to it."""
        client = httpx2.Client(transport=httpx2.MockTransport(self))
        return CloudLink("http://cloud", "token", "box", 1024, 5.0, client)


@pytest.fixture
def cloud() -> FakeCloud:
    """A cloud without answers yet."""
    return FakeCloud()


def cursor(box: SmallBox) -> int:
    """How far answers have been taken over."""
    with reading(box.engine) as connection:
        return outbox.read_cursor(connection, "cloud")


def test_answers_are_kept_as_they_came(box: SmallBox, cloud: FakeCloud) -> None:
    """With the cursor, in one transaction; what was taken over is not asked for again."""
    cloud.answer(3)
    cloud.answer(8, "b" * 64)
    polling = AnswerLane(cloud.link(), box.engine, wait_s=7.0)
    assert polling.step(lambda: NOW)
    assert [(a.seq, a.payload, a.applied_at) for a in box.rows(answers)] == [(3, "a" * 64, None), (8, "b" * 64, None)]
    assert json.loads(box.rows(answers)[0].body)["decision"] == "urgent"
    assert cursor(box) == 8
    assert polling.step(lambda: NOW)
    assert cloud.asked == [("0", "0.0"), ("8", "7.0")]
    assert box.count(answers) == 2


def test_an_answer_fetched_twice_is_kept_once(box: SmallBox, cloud: FakeCloud) -> None:
    """A cursor that was lost with the power costs nothing."""
    cloud.answer(3)
    polling = AnswerLane(cloud.link(), box.engine, wait_s=0.0)
    polling.step(lambda: NOW)
    with writing(box.engine) as connection:
        connection.execute(update(destinations).values(cursor=0))
        connection.execute(update(answers).values(applied_at=NOW))
    polling.step(lambda: NOW)
    assert [(a.seq, a.applied_at) for a in box.rows(answers)] == [(3, NOW)]


def test_messages_are_kept_as_they_came(box: SmallBox, cloud: FakeCloud) -> None:
    """In the numbering of the answers, with the cursor, whatever their kind; fetched twice they are kept once."""
    cloud.message(2, level="info", text="hello")
    cloud.answer(3)
    cloud.message(5, "from_the_future", anything=[1, {"at": "all"}])
    polling = AnswerLane(cloud.link(), box.engine, wait_s=0.0)
    for _ in range(2):
        assert polling.step(lambda: NOW)
        assert cursor(box) == 5
        with writing(box.engine) as connection:
            connection.execute(update(destinations).values(cursor=0))
    assert [(m.seq, m.kind, m.outcome) for m in box.rows(messages)] == [
        (2, "notice", None),
        (5, "from_the_future", None),
    ]
    assert box.rows(messages)[1].body == {"anything": [1, {"at": "all"}]}
    assert box.count(answers) == 1
    assert cloud.told == []


def test_the_outcome_of_a_message_is_told_until_the_cloud_has_it(box: SmallBox, cloud: FakeCloud) -> None:
    """A link that breaks costs another telling; what has been told is not told again, unless it changed."""
    cloud.message(2, level="info", text="hello")
    polling = AnswerLane(cloud.link(), box.engine, wait_s=0.0)
    polling.step(lambda: NOW)
    with writing(box.engine) as connection:
        connection.execute(update(messages).values(outcome="shown", outcome_at=NOW + 1))
    cloud.reply = lambda: httpx2.Response(503)
    assert not polling.step(lambda: NOW + 2)
    cloud.reply = None
    for _ in range(3):
        assert polling.step(lambda: NOW + 3)
    assert cloud.told == [{"box": "box", "outcomes": [{"seq": 2, "outcome": "shown", "reason": None, "at": NOW + 1}]}]
    with writing(box.engine) as connection:
        assert acknowledge(connection, 2, NOW + 4)
        assert acknowledge(connection, 2, NOW + 5)
    polling.step(lambda: NOW + 6)
    polling.step(lambda: NOW + 7)
    assert [told["outcomes"][0]["outcome"] for told in cloud.told] == ["shown", "acknowledged"]


def test_a_notice_acknowledged_while_its_outcome_is_told(box: SmallBox, cloud: FakeCloud) -> None:
    """The newer word is not taken for told."""
    cloud.message(2, level="info", text="hello")
    polling = AnswerLane(cloud.link(), box.engine, wait_s=0.0)
    polling.step(lambda: NOW)
    with writing(box.engine) as connection:
        connection.execute(update(messages).values(outcome="shown", outcome_at=NOW + 1))

    def meanwhile() -> httpx2.Response:
        with writing(box.engine) as connection:
            acknowledge(connection, 2, NOW + 2)
        return httpx2.Response(204)

    fetch = polling._link.fetch

    def polled(after: int, wait_s: float) -> Any:
        cloud.reply = None
        found = fetch(after, wait_s)
        cloud.reply = meanwhile
        return found

    polling._link.fetch = polled  # type: ignore[method-assign]
    polling.step(lambda: NOW + 3)
    polling.step(lambda: NOW + 4)
    assert [told["outcomes"][0]["outcome"] for told in cloud.told] == ["shown", "acknowledged"]


def test_a_number_that_is_there_twice(box: SmallBox, cloud: FakeCloud) -> None:
    """An answer and a message of one number make no sense: nothing of the reply is taken over."""
    cloud.message(2, level="info", text="hello")
    cloud.answer(2)
    assert not AnswerLane(cloud.link(), box.engine, wait_s=0.0).step(lambda: NOW)
    assert (box.count(messages), box.count(answers), cursor(box)) == (0, 0, 0)


def test_a_link_that_is_down(box: SmallBox, cloud: FakeCloud) -> None:
    """It is said, with the cause, and nothing else changes."""

    def unreachable() -> httpx2.Response:
        raise httpx2.ConnectError("no route to host")

    cloud.reply = unreachable
    assert not AnswerLane(cloud.link(), box.engine, 5.0).step(lambda: NOW)
    (peer,) = box.rows(destinations)
    assert (peer.state, peer.detail, peer.cursor) == ("down", "cloud_unreachable", 0)


def test_a_refused_token(box: SmallBox, cloud: FakeCloud) -> None:
    """A state of its own: waiting does not mend it."""
    cloud.reply = lambda: httpx2.Response(401)
    assert not AnswerLane(cloud.link(), box.engine, 5.0).step(lambda: NOW)
    assert box.rows(destinations)[0].state == "refused"


def test_the_link_comes_back(box: SmallBox, cloud: FakeCloud) -> None:
    """What waits for the cloud is due at once, whatever back-off it had reached; other destinations stay."""
    for destination in ("cloud", "archive"):
        enqueue(box, "x", destination=destination)
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).values(next_at=NOW + 250))
    polling = AnswerLane(cloud.link(), box.engine, 5.0)
    assert polling.step(lambda: NOW)
    due = {row.destination: row.next_at for row in box.rows(deliveries)}
    assert due == {"cloud": 0.0, "archive": NOW + 250}  # since it was asked for: its old place
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).values(next_at=NOW + 300))
    assert polling.step(lambda: NOW + 1)
    assert {row.next_at for row in box.rows(deliveries)} == {NOW + 300}


def test_polling_ends_when_told(box: SmallBox, cloud: FakeCloud) -> None:
    """And a cloud that answers at once is not asked in a tight loop."""
    stop = threading.Event()
    thread = threading.Thread(target=AnswerLane(cloud.link(), box.engine, 0.0).run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: len(cloud.asked) >= 3, "a few polls")
    finally:
        stop.set()
        thread.join(20.0)
    assert not thread.is_alive()
    assert len(cloud.asked) <= 4


def test_one_lane_per_destination(box: SmallBox) -> None:
    """Two for the cloud unless configured otherwise and one for its answers, one per PACS, none without either."""
    peers = tuple(Pacs(name=name, host="127.0.0.1", port=1, ae_title="A") for name in ("a", "b"))
    none = build_lanes(Cloud(), None, (), "SCANSIDE", box.engine, box.spool)
    assert none == []
    hooks = [WebhookLink("pager", "http://127.0.0.1:9", b"k" * 32, 5.0)]
    made = build_lanes(Cloud(url="http://127.0.0.1:9"), "t", peers, "SCANSIDE", box.engine, box.spool, hooks)
    assert [one.name for one in made if isinstance(one, Lane)] == ["cloud", "cloud", "a", "b", "pager"]
    assert sum(isinstance(one, AnswerLane) for one in made) == 1


def test_the_cloud_carrier_returns_the_receipt(box: SmallBox) -> None:
    """Its text is what the cloud says it holds."""
    enqueue(box, "escalation", destination="cloud")
    row = box.rows(deliveries)[0]
    receipt = {"digest": row.payload, "size_bytes": row.size_bytes, "stored_at": NOW}
    reply = httpx2.Response(200, headers={"Scanside-Receipt": json.dumps(receipt), "Tus-Resumable": "1.0.0"})
    client = httpx2.Client(transport=httpx2.MockTransport(lambda request: reply))
    carrier = CloudCarrier(CloudLink("http://cloud", "token", "box", 1024, 5.0, client))
    Lane("cloud", "cloud", carrier, box.engine, box.spool, 300.0).step(going_on)
    assert json.loads(box.rows(deliveries)[0].receipt) == receipt
