"""An association that is broken by what it is sent is over, for both sides, at once."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest

from appliance.schema import studies
from tests.fuzz.conversations import speak, whole
from tests.listening_box import Listen, wait_until
from tests.small_box import MakeBox, image

#: The library remarks on the pieces that it cannot read.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def _message_without_a_field() -> bytes:
    """A command set with nothing but a length (PS3.7 6.3.1)."""
    command = struct.pack("<HHII", 0, 0, 4, 0)
    fragment = struct.pack(">IBB", len(command) + 2, 1, 3) + command
    return struct.pack(">BBI", 4, 0, len(fragment)) + fragment


def _request() -> bytes:
    return next(iter(whole(0)))


def _request_for_nothing() -> bytes:
    """A presentation context without an abstract syntax (PS3.8 9.3.2.2)."""
    return _request().replace(b"\x30\x00\x00\x111.2.840.10008.1.1", b"\x40\x00\x00\x111.2.840.10008.1.1")


def _answer() -> bytes:
    return struct.pack(">BBI", 2, 0, 4) + bytes(4)


@pytest.mark.parametrize(
    "said",
    [
        [_request(), _message_without_a_field()],
        [_request(), _answer()],
        [_request(), _request()],
        [_message_without_a_field()],
        [_answer()],
        [b"\x32\x00\x00\x00\x00\x00"],
        [_request().replace(b"SCANSIDE", b"SCAN\xe4\xf6\xfc\xdf")],
        [_request()[:100]],
        [_request_for_nothing()],
        [_request() + _message_without_a_field()],
    ],
    ids=[
        "no field",
        "an answer",
        "twice",
        "a message first",
        "an answer first",
        "nonsense",
        "umlauts",
        "cut",
        "nothing",
        "at once",
    ],
)
def test_the_next_caller_gets_in_at_once(make_box: MakeBox, listen: Listen, said: list[bytes]) -> None:
    """With room for one association only, and long before any time-out."""
    box = make_box(dicom={"max_associations": 1, "acse_timeout_s": 100, "association_timeout_s": 100})
    scanner = listen(box)
    with socket.create_connection(("127.0.0.1", scanner.port), 20.0) as line:
        line.sendall(said[0])
        for more in said[1:]:
            assert line.recv(1) == b"\x02"
            line.sendall(more)
        if said[0] != _request_for_nothing():  # which is whole, so the receiver has to end it
            with contextlib.suppress(OSError):  # turned away already
                line.shutdown(socket.SHUT_WR)
        while line.recv(65_536):  # until it is closed
            pass
    wait_until(scanner.gets_through, "the next to get in")


def test_a_study_cut_off_so_completes_after_its_quiet_time(make_box: MakeBox, listen: Listen) -> None:
    """What was stored on the association is taken for sent, as after any other end."""
    box = make_box(dicom={"association_timeout_s": 1000, "quiet_time_s": 1})
    association = listen(box).open(image())
    assert association.send_c_store(image()).Status == 0x0000
    association.dul.socket.socket.sendall(_message_without_a_field())

    def released() -> bool:
        (row,) = box.rows(studies)
        return bool(row.completes_at < row.last_received_at + 500)

    wait_until(released, "the study to be released")
    association.kill()


def test_spoiled_conversations_leave_nothing(make_box: MakeBox, listen: Listen) -> None:
    """A few by the dice; many are `make fuzz`."""
    scanner = listen(make_box(dicom={"max_associations": 2}))
    assert [fault for number in range(10) for fault in speak(scanner.port, number)] == []
    wait_until(scanner.gets_through, "the next to get in")
