"""Command sets of C-STORE, beside the library's."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from pydicom.uid import UID, CTImageStorage
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF

from appliance.ingest.command_set import StoreRequest, read_store_request, store_response
from tests.dicom_factory import uid

_REQUEST = StoreRequest(7, str(CTImageStorage), uid("instance"))
_UIDS = UID(_REQUEST.sop_class_uid), UID(_REQUEST.sop_instance_uid)


def _asked(**more: object) -> C_STORE:
    asked = C_STORE()
    asked.MessageID, asked.Priority, asked.DataSet = 7, 2, BytesIO(b"\0\0")
    asked.AffectedSOPClassUID, asked.AffectedSOPInstanceUID = (
        UID(_REQUEST.sop_class_uid),
        UID(_REQUEST.sop_instance_uid),
    )
    for keyword, value in more.items():
        setattr(asked, keyword, value)
    return asked


def _command(asked: C_STORE | C_ECHO) -> bytes:
    """The command set as the library puts it."""
    message = C_STORE_RQ() if isinstance(asked, C_STORE) else C_ECHO_RQ()
    message.primitive_to_message(asked)
    first = next(iter(message.encode_msg(1, 0)))
    return bytes(first.presentation_data_value_list[0][1][1:])


def _read(command: bytes) -> StoreRequest | None:
    return read_store_request(memoryview(command))


def test_what_the_library_asks_is_understood() -> None:
    """Also with whom a C-MOVE goes back to."""
    assert _read(_command(_asked())) == _REQUEST
    moved = _asked(MoveOriginatorApplicationEntityTitle="MOVER", MoveOriginatorMessageID=3)
    assert _read(_command(moved)) == _REQUEST


def test_an_echo_is_for_the_library() -> None:
    """As is everything that is no C-STORE."""
    asked = C_ECHO()
    asked.MessageID, asked.AffectedSOPClassUID = 7, UID("1.2.840.10008.1.1")
    assert _read(_command(asked)) is None


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, number, len(value)) + value


_WHOLE = _command(_asked())


def _of_length(body: bytes) -> bytes:
    return _element(0, struct.pack("<I", len(body))) + body


@pytest.mark.parametrize(
    "command",
    [
        b"",
        _WHOLE[:-1],
        _WHOLE + b"\0",
        _WHOLE[12:],
        _WHOLE.replace(struct.pack("<HHI", 0, 0, 4), struct.pack("<HHI", 0, 0, 2)),
        _of_length(_WHOLE[12:])[:8] + b"\1\0\0\0" + _WHOLE[12:],
        _of_length(_WHOLE[12:] + _element(0x1032, b"\1\0")),
        _of_length(_element(0x0001, b"\0\0\0\0") + _WHOLE[12:]),
        _of_length(_WHOLE[12:] + _WHOLE[12:]),
        _WHOLE.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4..1.1.2"),
        _WHOLE.replace(_element(0x0100, b"\1\0"), _element(0x0100, b"\1\x80")),
        _WHOLE.replace(_element(0x0800, b"\1\0"), _element(0x0800, b"\1\1")),
        _WHOLE.replace(b"\0\0\0\x01\2\0\0\0\1\0", b"\0\0\0\x01\0\0\0\0"),
    ],
)
def test_what_is_not_as_it_should_be_is_for_the_library(command: bytes) -> None:
    """It knows what to say to that, or ends the association."""
    assert command != _WHOLE
    assert _read(command) is None


@pytest.mark.parametrize(
    ("status", "comment"), [(0x0000, ""), (0xA700, "no room"), (0xC000, "x" * 64), (0xC000, "odd")]
)
def test_the_answer_is_the_library_s(status: int, comment: str) -> None:
    """Bit for bit, as a PDU."""
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo, answer.Status = 7, status
    answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID = map(
        UID, (_REQUEST.sop_class_uid, _REQUEST.sop_instance_uid)
    )
    if comment:
        answer.ErrorComment = comment
    message = C_STORE_RSP()
    message.primitive_to_message(answer)
    (data,) = message.encode_msg(5, 0)
    assert store_response(_REQUEST, 5, status, comment) == P_DATA_TF(data).encode()


def test_a_comment_is_cut_and_plain() -> None:
    """ErrorComment is LO: 64 characters, and no character set is named for it."""
    answer = store_response(_REQUEST, 5, 0xC000, "ä" + "x" * 100)
    assert b"?" + b"x" * 63 in answer
    assert b"x" * 64 not in answer
