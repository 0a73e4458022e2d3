"""Senders that stop in the middle of a request, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from appliance.schema import instances
from appliance.web.app import build_app
from tests.dicom_factory import as_bytes
from tests.listening_box import wait_until
from tests.served import served
from tests.small_box import MakeBox, SmallBox, image
from tests.unit.appliance.dicomweb.stow import RELATED, body_of

Opening = Callable[..., "tuple[SmallBox, int]"]
HEAD = f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {RELATED}\r\n"


@contextmanager
def _begun(port: int, body: bytes, length: int) -> Iterator[socket.socket]:
    """A request of which ``body`` has been sent, although it announces ``length`` bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60.0) as line:
        line.sendall(f"{HEAD}Content-Length: {length}\r\n\r\n".encode() + body)
        yield line


def _half() -> tuple[bytes, int]:
    """One whole instance and half of another, and how long both would be."""
    whole = body_of(as_bytes(image(seed="a")), as_bytes(image(seed="b")))
    return whole[: len(whole) * 3 // 4], len(whole)


def _status(line: socket.socket) -> int:
    return int(line.makefile("rb").readline().split()[1])


@pytest.fixture
def box(make_box: MakeBox) -> SmallBox:
    """Takes one request at a time."""
    return make_box(dicomweb={"enabled": True, "max_stores": 1, "silence_s": 600.0})


def test_a_sender_that_goes_away_leaves_what_was_whole(box: SmallBox) -> None:
    """The first instance is kept, and its study can complete; of the second nothing stays."""
    begun, length = _half()
    with served(build_app(box.settings, box.engine, box.spool)) as port:
        with _begun(port, begun, length):
            wait_until(lambda: box.count(instances) == 1, "the first instance")
        wait_until(lambda: not list(box.incoming.iterdir()), "the rest to be removed")
        with _begun(port, body_of(as_bytes(image(seed="c"))), len(body_of(as_bytes(image(seed="c"))))) as line:
            assert _status(line) == 200  # its place was given back
    quiet = box.settings.dicom.quiet_time_s
    row = box.study(image(seed="a").StudyInstanceUID)
    assert row.completes_at <= row.last_received_at + quiet + 60.0


def test_one_request_more_than_allowed_is_asked_to_come_back(box: SmallBox) -> None:
    """While the first is still sending."""
    begun, length = _half()
    with served(build_app(box.settings, box.engine, box.spool)) as port, _begun(port, begun, length):
        wait_until(lambda: box.count(instances) == 1, "the first instance")
        with _begun(port, b"", 0) as second:
            answer = second.makefile("rb").read(4096)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after" in answer.lower()


def test_a_sender_that_says_nothing_is_cut(make_box: MakeBox) -> None:
    """After ``silence_s``, with 408; what was whole is kept."""
    box = make_box(dicomweb={"enabled": True, "silence_s": 0.2})
    begun, length = _half()
    with served(build_app(box.settings, box.engine, box.spool)) as port, _begun(port, begun, length) as line:
        assert _status(line) == 408
        wait_until(lambda: not list(box.incoming.iterdir()), "the rest to be removed")
    assert box.count(instances) == 1
