"""C-STORE below the library: what is taken straight, what is left to it, and what a sender may do meanwhile."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation, Verification

from appliance.errors import CannotUnderstand
from appliance.ingest.storing import Storing
from appliance.schema import instances
from tests.certificates import Authority
from tests.fuzz.conversations import associate, command, fragment, instance, message, pdu
from tests.listening_box import DEADLINE_S, Listen, wait_until
from tests.small_box import SCANNER, MakeBox, SmallBox, image

_ECHO, _STORE = 1, 3
_ACCEPT, _DATA, _RELEASED, _ABORTED = 2, 4, 6, 7
_LAST, _COMMAND = 2, 3


class Sender:
    """Says what it is told to, PDU by PDU."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def hear(self) -> tuple[int, bytes]:
        """Type and content of the next PDU; type 0: the line is closed."""
        header = self._read(6)
        if len(header) < 6:
            return 0, b""
        return header[0], self._read(int.from_bytes(header[2:], "big"))

    def answer(self) -> Dataset:
        """The command set of the next PDU."""
        kind, said = self.hear()
        assert kind == _DATA
        answer: Dataset = decode(BytesIO(said[6:]), True, True)
        return answer

    def _read(self, count: int) -> bytes:
        read = b""
        while len(read) < count and (piece := self.connection.recv(count - len(read))):
            read += piece
        return read


@contextmanager
def sending(port: int) -> Iterator[Sender]:
    """A sender with an association."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as connection:
        connection.sendall(associate(0))
        sender = Sender(connection)
        assert sender.hear()[0] == _ACCEPT
        yield sender


def asked(number: int = 0, **more: Any) -> bytes:
    """The command set of a C-STORE-RQ."""
    uid_of_it = more.get("uid", instance(number)[1])
    return command(DigitalXRayImageStorageForPresentation, 0x0001, (0x1000, uid_of_it.encode()), (0x0700, b"\0\0"))


@pytest.fixture
def straight_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library gets no instance at all."""

    def refuse(*_: object) -> int:
        raise AssertionError("an instance was given to the library")

    monkeypatch.setattr(Storing, "answer", refuse)


_DATA_SET = instance(0)[0]
_WAYS = {
    "command and data apart": [message(_STORE, _COMMAND, asked()), message(_STORE, _LAST, _DATA_SET)],
    "in one PDU": [pdu(_DATA, fragment(_STORE, _COMMAND, asked()) + fragment(_STORE, _LAST, _DATA_SET))],
    "the end is empty": [
        message(_STORE, _COMMAND, asked()),
        message(_STORE, 0, _DATA_SET),
        message(_STORE, _LAST, b""),
    ],
    "several fragments in a PDU": [
        message(_STORE, _COMMAND, asked()),
        pdu(
            _DATA, fragment(_STORE, 0, _DATA_SET[:7]) + fragment(_STORE, 0, b"") + fragment(_STORE, 0, _DATA_SET[7:99])
        ),
        message(_STORE, _LAST, _DATA_SET[99:]),
    ],
    "many small PDUs": [
        message(_STORE, _COMMAND, asked()),
        *(message(_STORE, 0, _DATA_SET[at : at + 10]) for at in range(0, len(_DATA_SET), 10)),
        message(_STORE, _LAST, b""),
    ],
}


@pytest.mark.usefixtures("straight_only")
@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("at_a_time", [1, 1000, 1 << 20], ids=["byte by byte", "in pieces", "at once"])
def test_however_it_is_cut(box: SmallBox, listen: Listen, way: str, at_a_time: int) -> None:
    """Into fragments, PDUs or segments: the file is the data set behind its file meta information."""
    said = b"".join(_WAYS[way])
    if at_a_time == 1:
        said, rest = said[:400], said[400:]
    else:
        rest = b""
    with sending(listen(box).port) as sender:
        for start in range(0, len(said), at_a_time):
            sender.connection.sendall(said[start : start + at_a_time])
        sender.connection.sendall(rest)
        answer = sender.answer()
    assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0x0000, 1)
    assert answer.AffectedSOPInstanceUID == instance(0)[1]
    (row,) = box.rows(instances)
    stored = box.spool.file(row.file_digest).read_bytes()
    assert stored[144 + struct.unpack("<I", stored[140:144])[0] :] == _DATA_SET
    assert box.spool.verify(row.file_digest)


@pytest.mark.usefixtures("straight_only")
def test_the_library_s_own_scanner_is_served(box: SmallBox, listen: Listen) -> None:
    """Several instances, C-ECHO in between, and a refusal with its comment."""
    association = listen(box).open(image())
    assert association.send_c_store(image()).Status == 0x0000
    assert association.send_c_echo().Status == 0x0000
    refused = association.send_c_store(image("routine"))
    assert (refused.Status, refused.ErrorComment) == (
        0xC111,
        "SOP Instance UID is known with other content; kept aside",
    )
    assert association.send_c_store(image(seed="1")).Status == 0x0000
    association.release()
    assert box.count(instances) == 2
    wait_until(lambda: not list(box.incoming.iterdir()), "the file of the next image, which does not come, to go")


@pytest.mark.usefixtures("straight_only")
def test_more_at_once_than_was_agreed(make_box: MakeBox, listen: Listen) -> None:
    """Some senders do not heed the maximum length; up to the largest there is, nothing is lost by that."""
    box = make_box(dicom={"max_pdu_bytes": 4096})
    large = _DATA_SET + struct.pack("<HH2sHI", 0x7FE1, 0x0010, b"OB", 0, 200_000) + bytes(200_000)
    with sending(listen(box).port) as sender:
        sender.connection.sendall(message(_STORE, _COMMAND, asked()) + message(_STORE, _LAST, large))
        assert sender.answer().Status == 0x0000
    (row,) = box.rows(instances)
    assert box.spool.file(row.file_digest).read_bytes().endswith(large)


@pytest.mark.usefixtures("straight_only")
def test_over_tls_it_is_the_same(make_box: MakeBox, listen: Listen, tmp_path: Path) -> None:
    """Whatever the line holds back of a record."""
    authority = Authority(tmp_path / "pki")
    own = authority.vouch("localhost")
    tls = {"port": 0, "certificate": own.certificate, "private_key": own.private_key, "client_ca": authority.ca}
    box = make_box(dicom={"tls": tls, "peers": {SCANNER: {"certificates": ["scanner.example.org"]}}})
    scanner = listen(box)
    scanner.tls = authority.client(authority.vouch("scanner.example.org"))
    images = [image(seed=str(number)) for number in range(5)]
    assert [answer.Status for answer in scanner.send(*images)] == [0x0000] * 5
    assert box.count(instances) == 5


def test_both_ways_make_the_same_file(make_box: MakeBox, listen: Listen) -> None:
    """A command in two fragments is the library's to put together; the digest is that of the straight way."""
    digests = []
    whole, half = asked(), len(asked()) // 2
    in_two = [message(_STORE, 1, whole[:half]), message(_STORE, _COMMAND, whole[half:])]
    for name, said in (("straight", [message(_STORE, _COMMAND, whole)]), ("library", in_two)):
        box = make_box(name)
        with sending(listen(box).port) as sender:
            sender.connection.sendall(b"".join([*said, message(_STORE, _LAST, _DATA_SET)]))
            assert sender.answer().Status == 0x0000
        digests += [row.file_digest for row in box.rows(instances)]
    assert len(digests) == 2
    assert len(set(digests)) == 1


def test_answers_keep_the_order_of_requests(box: SmallBox, listen: Listen) -> None:
    """Although a C-ECHO takes the long way: nothing overtakes it."""
    echo = command(Verification, 0x0030, with_data=False)
    with sending(listen(box).port) as sender:
        for number in range(5):
            sender.connection.sendall(
                message(_ECHO, _COMMAND, echo)
                + message(_STORE, _COMMAND, asked(number))
                + message(_STORE, _LAST, instance(number)[0])
            )
        fields = [sender.answer().CommandField for _ in range(10)]
    assert fields == [0x8030, 0x8001] * 5
    assert box.count(instances) == 5


@pytest.mark.parametrize("end", ["release", "abort", "line"])
def test_an_association_that_ends_in_the_middle(box: SmallBox, listen: Listen, end: str) -> None:
    """What was acknowledged stays, what was not whole goes, and the study does not wait for more."""
    scanner = listen(box)
    with sending(scanner.port) as sender:
        sender.connection.sendall(message(_STORE, _COMMAND, asked()) + message(_STORE, _LAST, _DATA_SET))
        assert sender.answer().Status == 0x0000
        sender.connection.sendall(message(_STORE, _COMMAND, asked(1)) + message(_STORE, 0, instance(1)[0][:500]))
        wait_until(lambda: bool(list(box.incoming.iterdir())), "the first part of it")
        if end != "line":
            sender.connection.sendall(pdu(5 if end == "release" else 7, bytes(4)))
            assert sender.hear()[0] == (_RELEASED if end == "release" else 0)
    wait_until(lambda: not list(box.incoming.iterdir()), "the part to go")
    (row,) = box.rows(instances)

    def released() -> bool:
        study = box.study(row.study_instance_uid)
        return bool(study.completes_at < study.last_received_at + box.settings.dicom.association_timeout_s - 1)

    wait_until(released, "the end to be noted")
    assert scanner.gets_through()


@pytest.mark.parametrize(
    "said",
    [
        pdu(_DATA, fragment(_STORE, 0, b"data")[:-1]),
        pdu(_DATA, struct.pack(">IBB", 1, _STORE, 0)),
        pdu(_DATA, struct.pack(">IBB", 0xFFFFFFFF, _STORE, 0)),
        pdu(_DATA, b""),
        pdu(_DATA, b"\0\0\0"),
        message(_ECHO, 0, b"data"),
        message(_STORE, _COMMAND, asked(2)),
        pdu(_DATA, fragment(_STORE, _LAST, b"data") + fragment(_STORE, 0, b"more")),
    ],
    ids=["cut", "too short", "too long", "nothing", "half a header", "another context", "a command", "behind the end"],
)
def test_nonsense_in_the_middle_of_an_instance_aborts(box: SmallBox, listen: Listen, said: bytes) -> None:
    """A-ABORT (PS3.8 AA-8), nothing is taken, and the next caller is served."""
    scanner = listen(box)
    with sending(scanner.port) as sender:
        sender.connection.sendall(message(_STORE, _COMMAND, asked()) + said)
        assert sender.hear()[0] == _ABORTED
    wait_until(lambda: not list(box.incoming.iterdir()), "the part to go")
    assert box.count(instances) == 0
    assert scanner.gets_through()


def test_the_box_ends_in_the_middle_of_an_instance(make_box: MakeBox, listen: Listen) -> None:
    """A sender that goes silent there loses its association as it would anywhere; what came goes."""
    box = make_box(dicom={"association_timeout_s": 1})
    with sending(listen(box).port) as sender:
        sender.connection.sendall(message(_STORE, _COMMAND, asked()) + message(_STORE, 0, _DATA_SET[:100]) + b"\4\0\0")
        assert sender.hear()[0] in (_ABORTED, 0)
    wait_until(lambda: not list(box.incoming.iterdir()), "the part to go")


def test_what_nobody_foresaw_is_never_acknowledged(
    box: SmallBox, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours ends the association, and only that."""
    scanner = listen(box)
    with monkeypatch.context() as patch, sending(scanner.port) as sender:
        patch.setattr(Storing, "take", lambda *_: 1 // 0)
        sender.connection.sendall(message(_STORE, _COMMAND, asked()) + message(_STORE, _LAST, _DATA_SET))
        assert sender.hear()[0] in (_ABORTED, 0)
    assert scanner.gets_through()


def test_what_is_refused_is_answered_in_few_words(
    box: SmallBox, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comment is cut to what ErrorComment may hold."""
    monkeypatch.setattr(Storing, "take", lambda *_: CannotUnderstand("x" * 100))
    with sending(listen(box).port) as sender:
        sender.connection.sendall(message(_STORE, _COMMAND, asked()) + message(_STORE, _LAST, _DATA_SET))
        answer = sender.answer()
    assert (answer.Status, answer.ErrorComment) == (0xC000, "x" * 64)
