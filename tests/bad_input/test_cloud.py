"""A cloud that does not know us, or talks nonsense: the delivery waits with its cause, and arrives once all is well."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sqlalchemy import update

from appliance.demo.stage import free_port, listening
from appliance.lane import Lane
from appliance.schema import answers, studies
from appliance.uplink import AnswerLane, CloudCarrier
from store_forward.cloud.serve import run_endpoint
from store_forward.cloud.settings import CloudSettings
from store_forward.database import reading, writing
from store_forward.outbox import DeliveryRequest, deliveries, destinations, enqueue, read_cursor
from store_forward.uplink import CloudLink
from tests.bad_input.doors import decide
from tests.listening_box import wait_until
from tests.small_box import NOW, MakeBox, SmallBox, image

TOKEN = "the right token of this site"


@pytest.fixture
def escalated(make_box: MakeBox) -> SmallBox:
    """A box with one study that waits to go to the cloud, and nothing else to send."""
    box = make_box(pacs=[])
    study = box.receive(image("escalate"))
    assert decide(box, study).escalated
    return box


@pytest.fixture
def waiting(make_box: MakeBox) -> SmallBox:
    """A box in whose outbox a payload waits for the cloud, and nothing else."""
    box = make_box(pacs=[])
    stored = box.spool.keep_bytes(b"a de-identified study")
    request = DeliveryRequest(
        "key", "1.2.3", 1, "escalation", "cloud", 1, stored.digest, stored.size_bytes, "application/zip"
    )
    with writing(box.engine) as connection:
        enqueue(connection, request, NOW)
    return box


@contextmanager
def real_cloud(home: Path) -> Iterator[str]:
    """The cloud sync endpoint on a loopback port; its address."""
    port, stop = free_port(), threading.Event()
    settings = CloudSettings.model_validate({"home": home, "port": port, "token": TOKEN, "free_floor_bytes": 0})
    thread = threading.Thread(target=run_endpoint, args=(settings, stop))
    thread.start()
    try:
        wait_until(lambda: listening(port), "the endpoint")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join(20.0)


Respond = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def other_server(respond: Respond) -> Iterator[str]:
    """Some HTTP server that is not our endpoint; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            respond(self)

        do_GET = do_POST = do_PATCH = do_HEAD = _any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20.0)


def replying(status: int, body: bytes = b"", **headers: str) -> Respond:
    """The same answer to everything."""

    def respond(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return respond


def hanging_up(request: BaseHTTPRequestHandler) -> None:
    """A server that closes the connection without a word."""
    request.close_connection = True


def torn_reply(request: BaseHTTPRequestHandler) -> None:
    """A reply that promises more than it holds."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"answers"')
    request.close_connection = True


def link(url: str, token: str = TOKEN) -> CloudLink:
    """The box's link to whatever listens there."""
    return CloudLink(url, token, "box", 65_536, 5.0)


def attempt(box: SmallBox, url: str, token: str = TOKEN) -> None:
    """One attempt of the cloud's lane, made due now."""
    with writing(box.engine) as connection:
        connection.execute(update(deliveries).where(deliveries.c.state == "waiting").values(next_at=0.0))
    own = link(url, token)
    assert Lane("cloud", "cloud", CloudCarrier(own), box.engine, box.spool, 300.0).step(lambda: False)
    own.close()


def waits(box: SmallBox, cause: str) -> None:
    """The escalation is still here, whole, and says why."""
    (row,) = box.rows(deliveries)
    assert (row.state, row.cause, row.receipt) == ("waiting", cause, None)
    assert row.detail
    assert box.spool.verify(row.payload)
    assert all(study.settled_at is None for study in box.rows(studies))


def arrives(box: SmallBox, home: Path) -> None:
    """With the real cloud it is delivered, against a receipt for these very bytes."""
    with real_cloud(home) as url:
        attempt(box, url)
    (row,) = box.rows(deliveries)
    assert row.state == "delivered"
    assert json.loads(row.receipt)["digest"] == row.payload


def test_a_wrong_token(escalated: SmallBox, tmp_path: Path) -> None:
    """Refused is a state of its own; the delivery waits for the right token, on both lanes, and nothing is parked."""
    with real_cloud(tmp_path / "cloud") as url:
        attempt(escalated, url, token="a wrong token of this site")
        waits(escalated, "cloud_credentials_refused")
        assert "token" in escalated.rows(deliveries)[0].detail
        assert escalated.rows(destinations)[0].state == "refused"
        own = link(url, "a wrong token of this site")
        assert not AnswerLane(own, escalated.engine, 0.0).step(lambda: NOW)
        own.close()
        assert escalated.rows(destinations)[0].state == "refused"
    arrives(escalated, tmp_path / "cloud")
    assert escalated.rows(destinations)[0].state == "up"


NONSENSE: list[tuple[str, Respond, str]] = [
    ("a login page", replying(200, b"<html>Sign in</html>", Content_Type="text/html"), "cloud_answer_unreadable"),
    ("a redirect", replying(302, Location="http://127.0.0.1:9/"), "cloud_answer_unreadable"),
    ("a proxy's 400", replying(400, b"Bad Request"), "cloud_answer_unreadable"),
    ("a proxy's 413", replying(413, b"Too large"), "cloud_answer_unreadable"),
    ("a proxy's 502", replying(502, b"Bad Gateway"), "cloud_error"),
    ("not found", replying(404, b"Not Found"), "upload_gone"),
    ("no reply", hanging_up, "cloud_unreachable"),
    ("a torn reply", torn_reply, "cloud_unreachable"),
    ("a receipt that is none", replying(200, Scanside_Receipt="{}", Tus_Resumable="1.0.0"), "cloud_answer_unreadable"),
    (
        "a receipt for something else",
        replying(
            200,
            Scanside_Receipt=json.dumps({"digest": "0" * 64, "size_bytes": 1, "stored_at": NOW}),
            Tus_Resumable="1.0.0",
        ),
        "receipt_mismatch",
    ),
    ("an offset too far", replying(201, Upload_Offset="99999999", Tus_Resumable="1.0.0"), "cloud_answer_unreadable"),
    ("an offset in words", replying(201, Upload_Offset="none yet", Tus_Resumable="1.0.0"), "cloud_answer_unreadable"),
    ("an endless body", replying(500, b"x" * 1_000_000), "cloud_answer_unreadable"),
]  # fmt: skip


@pytest.mark.parametrize(("respond", "cause"), [one[1:] for one in NONSENSE], ids=[one[0] for one in NONSENSE])
def test_nonsense_for_an_upload(waiting: SmallBox, respond: Respond, cause: str) -> None:
    """Whatever it is, it is no receipt and no final refusal: the delivery waits."""
    with other_server(respond) as url:
        attempt(waiting, url)
    waits(waiting, cause)


def test_after_nonsense_the_real_cloud_gets_it(escalated: SmallBox, tmp_path: Path) -> None:
    """A captive portal for an hour, then the network again."""
    with other_server(NONSENSE[0][1]) as url:
        attempt(escalated, url)
        attempt(escalated, url)
    waits(escalated, "cloud_answer_unreadable")
    assert escalated.rows(deliveries)[0].attempts == 2
    arrives(escalated, tmp_path / "cloud")


def answer(**changes: object) -> bytes:
    """A body with one good answer, and one changed as told."""
    good = {"seq": 1, "case": "a" * 64, "decision": "urgent", "answered_at": NOW}
    return json.dumps({"answers": [good, good | {"seq": 2} | changes]}).encode()


BODIES = {
    "html": b"<html>",
    "nothing": b"",
    "a list": b"[]",
    "an unknown decision": answer(decision="healthy"),
    "a probability over 1": answer(findings=[{"name": "x", "probability": 1.5}]),
    "a probability that is none": answer(findings=[{"name": "x", "probability": float("nan")}]),
    "a case that is no digest": answer(case="../../etc/passwd"),
    "numbers that go back": answer(seq=1),
    "a number as text": answer(seq="2"),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_nonsense_for_answers(waiting: SmallBox, body: bytes) -> None:
    """Nothing of such a reply is taken over, not even its good part: the cursor stays, and it is asked again."""
    with other_server(replying(200, body)) as url:
        own = link(url)
        assert not AnswerLane(own, waiting.engine, 0.0).step(lambda: NOW)
        own.close()
    assert waiting.count(answers) == 0
    with reading(waiting.engine) as connection:
        assert read_cursor(connection, "cloud") == 0
    (peer,) = waiting.rows(destinations)
    assert (peer.state, peer.detail) == ("down", "cloud_answer_unreadable")


def test_an_answer_nobody_asked_for(escalated: SmallBox) -> None:
    """Well formed, but about a case this box never sent: kept, and no study is touched."""
    before = escalated.rows(studies)
    with other_server(replying(200, answer())) as url:
        own = link(url)
        assert AnswerLane(own, escalated.engine, 0.0).step(lambda: NOW)
        own.close()
    worker = escalated.worker()
    while worker.step(NOW):
        pass
    assert escalated.rows(studies) == before
    assert [row.applied_at for row in escalated.rows(answers)] == [NOW, NOW]
