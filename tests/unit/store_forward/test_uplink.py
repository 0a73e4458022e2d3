"""Box and cloud over real sockets: what is cut goes on, what is lost is not doubled, what is wrong is told."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from pathlib import Path

import pytest

from store_forward.cloud import cases
from store_forward.cloud.settings import CloudSettings
from store_forward.database import open_database, reading, writing
from store_forward.errors import DeliveryDeferred, DeliveryRefused
from store_forward.protocol import Verdict
from store_forward.spool import Spool
from tests.unit.store_forward.running_cloud import (
    CHUNK_BYTES,
    Cut,
    CuttingProxy,
    deliver,
    link_to,
    running,
    saying,
    settings_at,
)

SIZE_BYTES = 10 * CHUNK_BYTES + 1234
OVERHEAD_BYTES = 20_000
"""More than all the request lines and headers of one upload."""


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """A file of SIZE_BYTES."""
    path = tmp_path / "payload"
    path.write_bytes(random.Random(1).randbytes(SIZE_BYTES))
    return path


@pytest.fixture
def settings(tmp_path: Path) -> CloudSettings:
    """A fresh home for the endpoint."""
    return settings_at(tmp_path / "cloud")


def holdings(settings: CloudSettings) -> list[tuple[str, str]]:
    """Every case the cloud has: digest and state."""
    engine = open_database(settings.database)
    with reading(engine) as connection:
        rows = [(row.digest, row.state) for row in connection.execute(cases.cases.select())]
    engine.dispose()
    return rows


def digest_of(path: Path) -> str:
    """SHA-256 of the file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_payload_arrives_whole_with_a_receipt(settings: CloudSettings, payload: Path) -> None:
    """The receipt names digest and length, and the cloud's spool holds these very bytes."""
    with running(settings) as port, link_to(port) as link:
        receipt = deliver(link, payload)
    assert (receipt.digest, receipt.size_bytes) == (digest_of(payload), SIZE_BYTES)
    assert Spool(settings.spool, 0).path(receipt.digest).read_bytes() == payload.read_bytes()
    assert holdings(settings) == [(receipt.digest, "stored")]
    assert list(settings.uploads.iterdir()) == []


def test_an_empty_payload_arrives_too(settings: CloudSettings, tmp_path: Path) -> None:
    """Nought bytes are a payload like any other."""
    empty = tmp_path / "empty"
    empty.touch()
    with running(settings) as port, link_to(port) as link:
        assert deliver(link, empty).size_bytes == 0


@pytest.mark.parametrize("after_bytes", [100, 3 * CHUNK_BYTES, 7 * CHUNK_BYTES + 17])
def test_a_cut_upload_goes_on_and_repeats_at_most_one_chunk(
    settings: CloudSettings, payload: Path, after_bytes: int
) -> None:
    """Wherever it is cut, what the cloud had by then is not sent again."""
    proxy = CuttingProxy(0, [Cut(after_bytes)])
    with running(settings) as proxy.port, proxy.listening() as port, link_to(port) as link:
        try:
            receipt = deliver(link, payload)
        except DeliveryDeferred as deferred:
            assert (deferred.cause, after_bytes) == ("cloud_unreachable", 100)  # before there was an upload to mend
            receipt = deliver(link, payload)
    assert receipt.digest == digest_of(payload)
    assert proxy.connections >= 2
    assert proxy.sent_bytes <= SIZE_BYTES + CHUNK_BYTES + OVERHEAD_BYTES


def test_an_upload_cut_again_and_again_still_gets_there(settings: CloudSettings, payload: Path) -> None:
    """As long as every connection gets it further, one attempt suffices."""
    proxy = CuttingProxy(0, [Cut(2 * CHUNK_BYTES) for _ in range(8)])
    with running(settings) as proxy.port, proxy.listening() as port, link_to(port) as link:
        assert deliver(link, payload).digest == digest_of(payload)
    assert proxy.connections >= 6


def test_an_upload_survives_a_restart_of_the_endpoint(settings: CloudSettings, payload: Path) -> None:
    """The box stops, the endpoint is restarted, the box is restarted: the rest is sent, not the whole."""
    asked = iter([False, False, False, False, True])
    with running(settings) as port, link_to(port) as link, pytest.raises(DeliveryDeferred, match="stopped"):
        deliver(link, payload, stop=lambda: next(asked))
    assert holdings(settings) == [(digest_of(payload), "receiving")]
    proxy = CuttingProxy(0, [])
    with running(settings) as proxy.port, proxy.listening() as port, link_to(port) as link:
        deliver(link, payload)
    assert proxy.sent_bytes <= SIZE_BYTES - 4 * CHUNK_BYTES + OVERHEAD_BYTES
    assert holdings(settings) == [(digest_of(payload), "stored")]


def test_a_lost_last_answer_doubles_nothing(settings: CloudSettings, payload: Path) -> None:
    """The cloud has it all but the box was not told: the box asks, gets the receipt, sends nothing again."""
    proxy = CuttingProxy(0, [Cut(SIZE_BYTES, only_answers=True)])
    with running(settings) as proxy.port, proxy.listening() as port, link_to(port) as link:
        first = deliver(link, payload)
        again = deliver(link, payload)
    assert first == again
    assert proxy.connections == 2
    assert proxy.sent_bytes <= SIZE_BYTES + OVERHEAD_BYTES
    assert holdings(settings) == [(first.digest, "stored")]


def test_a_wrong_token_is_deferred_and_stores_nothing(settings: CloudSettings, payload: Path) -> None:
    """A token can be put right, so nothing is parked for it."""
    with running(settings) as port, link_to(port, token="another token") as link:
        with pytest.raises(DeliveryDeferred) as told:
            deliver(link, payload)
        with pytest.raises(DeliveryDeferred) as told_too:
            link.answers(0, 0.0)
    assert told.value.cause == told_too.value.cause == "cloud_credentials_refused"
    assert holdings(settings) == []


def test_bytes_changed_on_the_way_are_never_acknowledged(
    settings: CloudSettings, payload: Path, tmp_path: Path
) -> None:
    """A piece of another upload got in: the cloud refuses the whole and the next attempt starts from nothing."""
    with running(settings) as port, link_to(port) as link:
        asked = iter([False, False, True])
        with pytest.raises(DeliveryDeferred, match="stopped"):
            deliver(link, payload, stop=lambda: next(asked))
        [part] = settings.uploads.glob("*.bytes")
        part.write_bytes(bytes(part.stat().st_size))
        with pytest.raises(DeliveryDeferred) as told:
            deliver(link, payload)
        assert told.value.cause == "digest_mismatch"
        assert holdings(settings) == []
        assert deliver(link, payload).digest == digest_of(payload)


def test_a_damaged_spool_object_is_refused(settings: CloudSettings, payload: Path) -> None:
    """The file no longer has the digest it is filed under: no later attempt can help, a person must look."""
    with running(settings) as port, link_to(port) as link, pytest.raises(DeliveryRefused) as told:
        deliver(link, payload, digest="0" * 64)
    assert told.value.cause == "spool_object_damaged"
    assert holdings(settings) == []


def test_a_missing_spool_object_is_refused(settings: CloudSettings, payload: Path, tmp_path: Path) -> None:
    """There is nothing to send."""
    with running(settings) as port, link_to(port) as link, pytest.raises(DeliveryRefused) as told:
        link.deliver(tmp_path / "gone", "0" * 64, 1, "application/zip", 1, lambda: False)
    assert told.value.cause == "spool_object_missing"


def test_a_shortened_spool_object_is_refused(settings: CloudSettings, payload: Path) -> None:
    """It is shorter than the outbox says."""
    with running(settings) as port, link_to(port) as link, pytest.raises(DeliveryRefused) as told:
        deliver(link, payload, size_bytes=SIZE_BYTES + 1)
    assert told.value.cause == "spool_object_damaged"


def test_a_full_cloud_defers_with_the_pause_it_asks_for(tmp_path: Path, payload: Path) -> None:
    """507: nothing is taken, and the box comes again after a minute."""
    full = settings_at(tmp_path / "full", free_floor_bytes=1 << 60)
    with running(full) as port, link_to(port) as link, pytest.raises(DeliveryDeferred) as told:
        deliver(link, payload)
    assert (told.value.cause, told.value.retry_after_s) == ("cloud_full", 60.0)


def test_what_the_endpoint_never_takes_is_refused(tmp_path: Path, payload: Path) -> None:
    """Too large, or of another type: parked for a person."""
    strict = settings_at(tmp_path / "strict", max_upload_bytes=SIZE_BYTES - 1)
    with running(strict) as port, link_to(port) as link:
        with pytest.raises(DeliveryRefused) as large:
            deliver(link, payload)
        with pytest.raises(DeliveryRefused) as other:
            deliver(link, payload, content_type="text/html")
    assert (large.value.cause, other.value.cause) == ("cloud_refused_size", "cloud_refused_type")


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "cloud_answer_unreadable"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\nContent-Length: 0\r\n\r\n",
            "cloud_answer_unreadable",
        ),
        (b"HTTP/1.1 200 OK\r\nScanside-Receipt: {}\r\nContent-Length: 0\r\n\r\n", "cloud_answer_unreadable"),
        (b"HTTP/1.1 201 Created\r\nUpload-Offset: 99999999999\r\nContent-Length: 0\r\n\r\n", "cloud_answer_unreadable"),
        (b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", "cloud_answer_unreadable"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "cloud_error"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 100000000\r\n\r\n" + bytes(200_000), "cloud_answer_unreadable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cloud_unreachable"),
        (b"", "cloud_unreachable"),
    ],
)
def test_nonsense_is_deferred_never_taken_for_a_receipt(payload: Path, reply: bytes, cause: str) -> None:
    """A captive portal, a proxy, another service: whatever they say is neither a receipt nor a refusal."""
    with saying(reply) as port, link_to(port) as link, pytest.raises(DeliveryDeferred) as told:
        deliver(link, payload)
    assert told.value.cause == cause


def test_a_receipt_for_something_else_is_no_receipt(payload: Path) -> None:
    """Digest and length must be ours."""
    receipt = json.dumps({"digest": "f" * 64, "size_bytes": SIZE_BYTES, "stored_at": 1.0})
    reply = f"HTTP/1.1 200 OK\r\nScanside-Receipt: {receipt}\r\nContent-Length: 0\r\n\r\n".encode()
    with saying(reply) as port, link_to(port) as link, pytest.raises(DeliveryDeferred) as told:
        deliver(link, payload)
    assert told.value.cause == "receipt_mismatch"


def test_nobody_there_is_deferred(payload: Path) -> None:
    """The port is closed."""
    with saying(b"") as port:
        pass
    with link_to(port) as link, pytest.raises(DeliveryDeferred) as told:
        deliver(link, payload)
    assert told.value.cause == "cloud_unreachable"


def test_each_box_gets_each_answer_once_and_in_order(settings: CloudSettings, tmp_path: Path) -> None:
    """Two boxes sent one case, one sent two; a box that sends an answered case again hears nothing new."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(path.name, path.name)
    with running(settings) as port, link_to(port) as first, link_to(port, box="box-2") as second:
        for path in paths:
            deliver(first, path)
        deliver(second, paths[0])
        answer_all(settings)
        numbers = [(answer.seq, answer.case) for answer in first.answers(0, 5.0)]
        assert [case for _, case in numbers] == [digest_of(path) for path in paths]
        assert [answer.case for answer in second.answers(0, 5.0)] == [digest_of(paths[0])]
        deliver(first, paths[0])
        assert first.answers(numbers[-1][0], 0.0) == []
        deliver(second, paths[1])
        assert [answer.case for answer in second.answers(0, 0.0)] == [digest_of(path) for path in paths]


def answer_all(settings: CloudSettings) -> None:
    """Answer every stored case."""
    engine = open_database(settings.database)
    with writing(engine) as connection:
        while case := cases.lease(connection):
            cases.answer(connection, case, Verdict(decision="not_triaged", reason="no_pack"), 5.0)
    engine.dispose()


GOOD_ANSWER = {"seq": 3, "case": "a" * 64, "decision": "urgent", "answered_at": 1.0}


@pytest.mark.parametrize(
    "answers",
    [
        [{**GOOD_ANSWER, "decision": "fine"}],
        [{**GOOD_ANSWER, "seq": 2}],
        [GOOD_ANSWER, GOOD_ANSWER],
        [{**GOOD_ANSWER, "findings": [{"name": "x", "probability": 1.5}]}],
        [{**GOOD_ANSWER, "seq": "3"}],
        "none",
    ],
)
def test_answers_that_make_no_sense_are_not_taken_over(answers: object) -> None:
    """One bad answer spoils the reply: the box takes over all of it or nothing."""
    body = json.dumps({"answers": answers}).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with saying(reply) as port, link_to(port) as link, pytest.raises(DeliveryDeferred) as told:
        link.answers(2, 0.0)
    assert told.value.cause == "cloud_answer_unreadable"


def test_a_good_answer_is_read(tmp_path: Path) -> None:
    """The counterpart of the above: only nonsense is refused."""
    body = json.dumps({"answers": [GOOD_ANSWER]}).encode()
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port, link_to(port) as link:
        assert [(answer.seq, answer.decision) for answer in link.answers(2, 0.0)] == [(3, "urgent")]
