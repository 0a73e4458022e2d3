"""What a scanner says to a receiver, PDU by PDU, whole and spoiled; and what of the answers is in order (PS3.8 9.3)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from random import Random

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode
from pynetdicom.sop_class import (
    DigitalXRayImageStorageForPresentation,
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    Verification,
)
from pynetdicom.status import code_to_category

from tests.dicom_factory import as_bytes, chest_pixels, chest_radiograph, uid
from tests.fuzz.mutations import mutated

#: A receiver that says nothing for so long after everything was said, or after the line was closed, hangs, s.
HANG_S = 5.0
_SILENCE_S = 0.3
_ASSOCIATE, _ACCEPT, _DATA, _RELEASE, _ABORT = 1, 2, 4, 5, 7
_ANSWERS = frozenset({2, 3, 4, 6, 7})
_CLASSES = (
    Verification,
    DigitalXRayImageStorageForPresentation,
    StorageCommitmentPushModel,
    ModalityPerformedProcedureStep,
)
_ECHO, _STORE, _COMMITMENT, _STEP = (2 * number + 1 for number in range(4))
#: What we may say to a C-STORE (docs/reference/errors.md) and what PS3.7 C.5 has for any request.
_STORE_STATUSES = frozenset({0x0000, 0xA700, 0xA900, 0xC000, 0xC111, 0xC112})


def speak(port: int, number: int) -> list[str]:
    """Have conversation ``number``; returns what was wrong with the answers, empty if nothing was."""
    rng = Random(number)
    pdus = list(whole(number))
    spoiled = {rng.randrange(len(pdus)) for _ in range(rng.choice((1, 1, 2)))}
    said = [mutated([one], number) if at in spoiled else one for at, one in enumerate(pdus)]
    heard = bytearray()
    with socket.create_connection(("127.0.0.1", port), HANG_S) as line:
        with suppress(OSError):  # a receiver may close the line whenever it has heard enough
            line.sendall(said[0])
            _listen(line, heard, HANG_S if 0 not in spoiled else _SILENCE_S, at_least=1)
            if heard[:1] == bytes([_ACCEPT]):
                for one in said[1:]:
                    line.sendall(one)
                _listen(line, heard, _SILENCE_S)
            line.shutdown(socket.SHUT_WR)
        if not _listen(line, heard, HANG_S):
            return [f"conversation {number}: not closed within {HANG_S} s"]
    return [f"conversation {number}: {wrong}" for wrong in _faults(bytes(heard))]


def whole(number: int) -> Iterator[bytes]:
    """Association, one or two messages, release or abort; nothing wrong with any of them."""
    rng = Random(-number - 1)
    yield associate(number)
    for _ in range(rng.choice((1, 2))):
        yield from rng.choice((_echo, _store, _store, _commitment, _step))(number)
    yield pdu(_RELEASE if rng.random() < 0.8 else _ABORT, bytes(4))


def associate(number: int) -> bytes:
    """An A-ASSOCIATE-RQ for echo, images, commitment and procedure steps, in this order of context IDs 1, 3, 5, 7."""
    contexts = b"".join(
        _item(0x20, bytes([2 * at + 1, 0, 0, 0]) + _item(0x30, sop_class.encode()) + _syntaxes(number))
        for at, sop_class in enumerate(_CLASSES)
    )
    user = _item(0x51, struct.pack(">I", 16_384)) + _item(0x52, uid("implementation").encode()) + _item(0x55, b"FUZZ")
    fixed = b"\0\1\0\0" + b"SCANSIDE".ljust(16) + b"FUZZ".ljust(16) + bytes(32)
    return pdu(_ASSOCIATE, fixed + _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + _item(0x50, user))


def _syntaxes(number: int) -> bytes:
    return _item(0x40, ExplicitVRLittleEndian.encode()) + (
        _item(0x40, ImplicitVRLittleEndian.encode()) if number % 2 else b""
    )


def _echo(_: int) -> Iterator[bytes]:
    yield message(_ECHO, 3, command(Verification, 0x0030, with_data=False))


def _store(number: int) -> Iterator[bytes]:
    data, uid_of_it = instance(number % 7)
    asked = command(_CLASSES[1], 0x0001, (0x1000, uid_of_it.encode()), (0x0700, b"\0\0"))
    half = len(data) // 2
    match number % 4:
        case 0:  # as most senders do
            yield message(_STORE, 3, asked)
            yield message(_STORE, 0, data[:half])
            yield message(_STORE, 2, data[half:])
        case 1:  # all in one PDU
            yield pdu(
                _DATA, fragment(_STORE, 3, asked) + fragment(_STORE, 0, data[:half]) + fragment(_STORE, 2, data[half:])
            )
        case 2:  # the command in two fragments
            yield message(_STORE, 1, asked[:20])
            yield message(_STORE, 3, asked[20:])
            yield message(_STORE, 2, data)
        case _:  # in small PDUs, the last of which is empty
            yield message(_STORE, 3, asked)
            for start in range(0, len(data), 1000):
                yield message(_STORE, 0, data[start : start + 1000])
            yield message(_STORE, 2, b"")


def _commitment(number: int) -> Iterator[bytes]:
    known = (0x1001, b"1.2.840.10008.1.20.1.1\0"), (0x1008, b"\1\0")
    yield message(_COMMITMENT, 3, command(_CLASSES[2], 0x0130, *known, requested=True))
    yield message(_COMMITMENT, 2, _element(0x0008, 0x1195, uid(f"transaction {number}").encode()))


def _step(number: int) -> Iterator[bytes]:
    yield message(_STEP, 3, command(_CLASSES[3], 0x0140, (0x1000, uid(f"step {number}").encode())))
    yield message(_STEP, 2, _element(0x0040, 0x0252, b"IN PROGRESS"))


@cache
def instance(number: int) -> tuple[bytes, str]:
    """A data set in explicit VR, and its SOP Instance UID."""
    dataset = chest_radiograph(seed=f"fuzz {number}", pixels=chest_pixels(24, 24))
    content = as_bytes(dataset)
    return content[144 + struct.unpack("<I", content[140:144])[0] :], str(dataset.SOPInstanceUID)


def command(
    sop_class: str, field: int, *more: tuple[int, bytes], with_data: bool = True, requested: bool = False
) -> bytes:
    """A command set in implicit little endian (PS3.7 6.3.1)."""
    elements = {
        0x0003 if requested else 0x0002: sop_class.encode(),
        0x0100: struct.pack("<H", field),
        0x0110: b"\1\0",
        0x0800: b"\0\0" if with_data else b"\1\1",
        **dict(more),
    }
    body = b"".join(_element(0, number, value) for number, value in sorted(elements.items()))
    return _element(0, 0, struct.pack("<I", len(body))) + body


def _element(group: int, number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", group, number, len(value)) + value


def message(context: int, control: int, data: bytes) -> bytes:
    """One P-DATA-TF PDU; ``control`` 1 is a command, 2 the last fragment (PS3.8 E.2)."""
    return pdu(_DATA, fragment(context, control, data))


def fragment(context: int, control: int, data: bytes) -> bytes:
    """One presentation data value (PS3.8 9.3.5.1)."""
    return struct.pack(">IBB", len(data) + 2, context, control) + data


def pdu(kind: int, body: bytes) -> bytes:
    """One of this type (PS3.8 9.3.1)."""
    return struct.pack(">BBI", kind, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _listen(line: socket.socket, heard: bytearray, silence_s: float, at_least: int = 0) -> bool:
    """Add what comes until the line is closed (then True), is silent for so long, or has given ``at_least``."""
    line.settimeout(silence_s)
    while not (at_least and len(heard) >= at_least):
        try:
            piece = line.recv(65_536)
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        if not piece:
            return True
        heard += piece
    return False


def _faults(heard: bytes) -> Iterator[str]:
    at, command = 0, b""
    while at + 6 <= len(heard):
        kind, _, length = struct.unpack(">BBI", heard[at : at + 6])
        body = heard[at + 6 : at + 6 + length]
        if kind not in _ANSWERS or len(body) < length:
            yield f"a PDU of type {kind} and {length} bytes"
            return
        if kind == _DATA and body[5] & 1:
            command += body[6:]
            if body[5] & 2:
                yield from _status_faults(command)
                command = b""
        at += 6 + length


def _status_faults(command: bytes) -> Iterator[str]:
    answer = decode(BytesIO(command), True, True)
    status = answer.get("Status")
    if status is None:
        return  # a request of its own, for one a report on storage commitment
    if answer.CommandField == 0x8001 and status not in _STORE_STATUSES:
        yield f"status 0x{status:04X} to a C-STORE"
    elif code_to_category(status) == "Unknown":
        yield f"status 0x{status:04X}"
