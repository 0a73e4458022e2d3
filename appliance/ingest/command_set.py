"""The command sets of C-STORE: a request is read strictly, a response is written (PS3.7 9.3.1, E.1).

Command sets are in Implicit VR Little Endian (PS3.7 6.3.1). Whatever is not in all points a C-STORE-RQ with a data set
is not for this module: the library reads it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from appliance.ingest.header import is_uid

_ELEMENT: Final = struct.Struct("<HHI")
_UL: Final = struct.Struct("<I")
_US: Final = struct.Struct("<H")
#: A P-DATA-TF PDU with one presentation data value (PS3.8 9.3.5): type, 0, length; length, context, control header.
_P_DATA: Final = struct.Struct(">BBIIBB")
_LAST_OF_COMMAND: Final = 0x03

_GROUP_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID, _ANSWERED_ID = 0x0000, 0x0002, 0x0100, 0x0110, 0x0120
_PRIORITY, _DATA_SET_TYPE, _STATUS, _COMMENT, _SOP_INSTANCE = 0x0700, 0x0800, 0x0900, 0x0902, 0x1000
_NEEDED: Final = frozenset({_GROUP_LENGTH, _SOP_CLASS, _FIELD, _MESSAGE_ID, _PRIORITY, _DATA_SET_TYPE, _SOP_INSTANCE})
#: Move Originator AE Title and Message ID, which nobody here asks for.
_ALLOWED: Final = _NEEDED | {0x1030, 0x1031}
_SHORTS: Final = (_FIELD, _MESSAGE_ID, _PRIORITY, _DATA_SET_TYPE)
_STORE_RQ, _STORE_RSP, _NO_DATA_SET = 0x0001, 0x8001, 0x0101
_LONGEST_COMMENT: Final = 64  # ErrorComment is LO (PS3.7 C)


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What a C-STORE-RQ says of the instance that follows it."""

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str


def read_store_request(command: memoryview) -> StoreRequest | None:
    """``None``: it is something else, or not written as the standard has it."""
    found = _elements(command)
    if found is None or not _NEEDED <= found.keys() <= _ALLOWED or any(len(found[one]) != _US.size for one in _SHORTS):
        return None
    field, message_id, _, data_set_type = (int.from_bytes(found[one], "little") for one in _SHORTS)
    sop_class_uid, sop_instance_uid = _uid(found[_SOP_CLASS]), _uid(found[_SOP_INSTANCE])
    is_plain = found[_GROUP_LENGTH] == _UL.pack(len(command) - _ELEMENT.size - _UL.size)
    if field != _STORE_RQ or data_set_type == _NO_DATA_SET or not (is_plain and sop_class_uid and sop_instance_uid):
        return None
    return StoreRequest(message_id, sop_class_uid, sop_instance_uid)


def store_response(request: StoreRequest, context_id: int, status: int, comment: str = "") -> bytes:
    """The PDU that answers ``request``; of ``comment``, which is ASCII, as much as a sender may be told."""
    body = _element(_SOP_CLASS, _uid_bytes(request.sop_class_uid)) + _element(_FIELD, _US.pack(_STORE_RSP))
    body += _element(_ANSWERED_ID, _US.pack(request.message_id)) + _element(_DATA_SET_TYPE, _US.pack(_NO_DATA_SET))
    body += _element(_STATUS, _US.pack(status))
    if comment:
        text = comment[:_LONGEST_COMMENT].encode("ascii", "replace")
        body += _element(_COMMENT, text + b" " * (len(text) % 2))
    body += _element(_SOP_INSTANCE, _uid_bytes(request.sop_instance_uid))
    command = _element(_GROUP_LENGTH, _UL.pack(len(body))) + body
    return _P_DATA.pack(0x04, 0, len(command) + 6, len(command) + 2, context_id, _LAST_OF_COMMAND) + command


def _elements(command: memoryview) -> dict[int, bytes] | None:
    """The values of group 0000, ascending and without a byte over."""
    found, at, before = dict[int, bytes](), 0, -1
    while at < len(command):
        if len(command) - at < _ELEMENT.size:
            return None
        group, number, length = _ELEMENT.unpack_from(command, at)
        at += _ELEMENT.size
        if group or number <= before or length > len(command) - at:
            return None
        found[number] = bytes(command[at : at + length])
        at, before = at + length, number
    return found


def _uid(value: bytes) -> str:
    """A UID of even length, or ``""``."""
    text = value.removesuffix(b"\0").decode("ascii", "replace")
    return text if len(value) % 2 == 0 and is_uid(text) else ""


def _uid_bytes(uid: str) -> bytes:
    return uid.encode("ascii") + b"\0" * (len(uid) % 2)


def _element(number: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, number, len(value)) + value
