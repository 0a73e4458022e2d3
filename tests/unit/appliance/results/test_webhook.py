"""Each event is POSTed with a signature and an id that stays; what the receiver answers decides what happens next."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from appliance.errors import ConfigurationInvalid
from appliance.lane import Lane
from appliance.results.http import retry_after_s
from appliance.results.webhook import WebhookLink, signature, signing_key
from appliance.settings import Webhook
from appliance.triage.deliveries import Subject, event
from models.decision import Decision
from store_forward import outbox
from store_forward.database import writing
from store_forward.outbox import deliveries
from tests.listening_webhook import KEY, SECRET, Answering, WebhookServer, listening_webhook
from tests.small_box import SmallBox
from tests.unit.appliance.couriers import going_on


@pytest.fixture
def site() -> Iterator[WebhookServer]:
    """A receiver that takes everything."""
    with listening_webhook() as server:
        yield server


class Sender:
    """A box with one event in its outbox, and the lane to the webhook."""

    def __init__(self, box: SmallBox, url: str) -> None:
        self.box = box
        self.link = WebhookLink("pager", url, KEY, 5.0)
        self.lane = Lane("pager", "webhook", self.link, box.engine, box.spool, 300.0)
        stored = box.spool.keep_bytes(b'{"type": "study.decided"}')
        subject = Subject("1.2", 1, Decision.urgent, 0.9)
        with writing(box.engine) as connection:
            asked = event(subject, "event_decided", "pager", stored, "evt_1", urgent=True)
            outbox.enqueue(connection, asked, 0.0)

    def attempt(self) -> outbox.DeliveryState:
        """Make it due, try it, and say how it stands."""
        with writing(self.box.engine) as connection:
            connection.execute(update(deliveries).where(deliveries.c.state == "waiting").values(next_at=0.0))
        assert self.lane.step(going_on)
        return outbox.DeliveryState(self.row.state)

    @property
    def row(self) -> Any:
        """The delivery."""
        return self.box.rows(deliveries)[0]


@pytest.fixture
def sender(box: SmallBox, site: WebhookServer) -> Iterator[Sender]:
    """One that knows the receiver."""
    made = Sender(box, site.url)
    yield made
    made.link.close()


def test_the_signature_is_that_of_the_convention() -> None:
    """The reference vector of Standard Webhooks."""
    key = signing_key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def signing_key_of(secret: str) -> bytes:
    """The key that a secret in the environment stands for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK_SECRET", secret)
        return signing_key(Webhook(name="pager", url="https://x.example", secret_variable="HOOK_SECRET"))


def test_an_event_is_posted(sender: Sender, site: WebhookServer) -> None:
    """Signed, with its id, and the receipt says what the receiver answered and when."""
    site.answers = [Answering(202)]
    assert sender.attempt() == "delivered"
    (told,) = site.told
    assert told.signed_by_us
    assert told.body == {"type": "study.decided"}
    assert told.headers["webhook-id"] == told.headers["idempotency-key"] == "evt_1"
    assert told.headers["content-type"] == "application/json"
    receipt = json.loads(sender.row.receipt)
    assert receipt["status"] == 202
    assert receipt["at"] > 1_700_000_000


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, 302, 407])
def test_what_may_be_otherwise_later(sender: Sender, site: WebhookServer, status: int) -> None:
    """It waits, under the same id, and is taken when the receiver can."""
    site.answers = [Answering(status, {"Location": "/elsewhere"}), Answering(200)]
    assert sender.attempt() == "waiting"
    assert str(status) in sender.row.detail
    assert sender.attempt() == "delivered"
    assert [told.headers["webhook-id"] for told in site.told] == ["evt_1", "evt_1"]


@pytest.mark.parametrize(
    ("status", "cause"), [(410, "webhook_gone"), (400, "webhook_refused"), (401, "webhook_refused")]
)
def test_what_will_never_be_taken_is_parked(sender: Sender, site: WebhookServer, status: int, cause: str) -> None:
    """With the receiver's words, in one line and not too many."""
    site.answers = [Answering(status, body=b"no\r\n\x1b[31m such\x00\thook " + b"x" * 10_000)]
    assert sender.attempt() == "parked"
    assert sender.row.cause == cause
    assert sender.row.detail.startswith(f"HTTP status {status}: no [31m such hook xxx")
    assert sender.row.detail.isprintable()
    assert len(sender.row.detail) < 350


def test_the_pause_asked_for_is_kept(sender: Sender, site: WebhookServer) -> None:
    """Not before Retry-After."""
    site.answers = [Answering(503, {"Retry-After": "1800"})]
    began = time.time()
    assert sender.attempt() == "waiting"
    assert sender.row.next_at >= began + 1800
    assert sender.row.cause == "webhook_error"


@pytest.mark.parametrize(
    ("value", "pause_s"),
    [
        ("120", 120.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:00:00 GMT", 0.0),
        ("99999999999", 86_400.0),
        ("9" * 400, 86_400.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after(value: str, pause_s: float | None) -> None:
    """As seconds or as a date; what is neither asks for nothing."""
    assert retry_after_s(value, 1_792_567_680.0) == pause_s


def test_nobody_there(box: SmallBox) -> None:
    """No connection is no refusal."""
    with listening_webhook() as gone:
        url = gone.url
    sender = Sender(box, url)
    assert sender.attempt() == "waiting"
    assert (sender.row.cause, sender.row.detail) == ("webhook_unreachable", "ConnectError")
    sender.link.close()


def test_a_connection_that_breaks_before_the_answer(sender: Sender, site: WebhookServer) -> None:
    """The receiver may have it: it is sent again under the same id, for the receiver to tell."""
    site.answers = [Answering(hang_up=True), Answering()]
    assert sender.attempt() == "waiting"
    assert sender.row.cause == "webhook_unreachable"
    assert sender.attempt() == "delivered"
    assert len({told.headers["webhook-id"] for told in site.told}) == 1
    assert len({told.whole for told in site.told}) == 1


def test_a_secret_from_a_file(tmp_path: Path) -> None:
    """A line feed at its end is none of it."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    assert signing_key(Webhook(name="pager", url="https://x.example", secret_file=tmp_path / "secret")) == KEY


@pytest.mark.parametrize("secret", ["", "a plain password", "whsec_not base64!", "whsec_c2hvcnQ=", SECRET[6:]])
def test_secrets_that_cannot_sign(secret: str) -> None:
    """Said with how to make a good one, and without the secret."""
    with pytest.raises(ConfigurationInvalid, match="make one with") as raised:
        signing_key_of(secret)
    assert not secret or secret not in str(raised.value)
