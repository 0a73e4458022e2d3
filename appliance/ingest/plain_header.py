"""The header of an image like most are, read from its first bytes in a tenth of the time.

Like most: little endian, ascending elements of known VRs and lengths, and plain ASCII where text is asked for. Of
whatever is otherwise nothing is said, and pydicom reads it. What is said is what pydicom would say.
"""

from __future__ import annotations

import struct
from typing import Final

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

#: So many bytes of a file hold the header of an image as a rule.
HEAD_BYTES: Final = 65_536
LAST_TAG: Final = 0x00200010  # StudyID: everything a study row needs stands at or before it

_PREFIX_AT: Final = 128
_META_AT: Final = 132
_SHORT: Final = struct.Struct("<HH2sH")
_IMPLICIT: Final = struct.Struct("<HHI")
_LONG_LENGTH: Final = struct.Struct("<I")
_UNDEFINED: Final = 0xFFFFFFFF
_SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_CHARACTER_SET, _TRANSFER_SYNTAX = 0x00080005, 0x00020010
_WANTED: Final = {
    0x00080016: (b"UI", "SOPClassUID"),
    0x00080018: (b"UI", "SOPInstanceUID"),
    0x00080020: (b"DA", "StudyDate"),
    0x00080050: (b"SH", "AccessionNumber"),
    0x00080060: (b"CS", "Modality"),
    0x00081030: (b"LO", "StudyDescription"),
    0x00100010: (b"PN", "PatientName"),
    0x00100020: (b"LO", "PatientID"),
    0x00101010: (b"AS", "PatientAge"),
    0x0020000D: (b"UI", "StudyInstanceUID"),
    0x0020000E: (b"UI", "SeriesInstanceUID"),
}
#: Those in which a byte of ASCII is a letter of ASCII.
_LIKE_ASCII: Final = frozenset(("", "ISO_IR 6", "ISO_IR 100", "ISO_IR 192"))
_STANDARD_SYNTAXES: Final = "1.2.840.10008.1.2"
_NOT_PLAIN: Final = frozenset((DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian))


class _NotPlain(Exception):
    """Somebody else has to read it."""


def plain_header(head: bytes) -> tuple[dict[str, str], str] | None:
    """Text by keyword, and the Transfer Syntax UID, from the beginning of a Part 10 file; ``None``: not plain.

    What is absent or empty has no keyword.
    """
    if head[_PREFIX_AT:_META_AT] != b"DICM":
        return None
    try:
        syntax, start = _transfer_syntax(head)
        is_implicit = syntax == ImplicitVRLittleEndian
        values = _implicit_values(head, start) if is_implicit else _explicit_values(head, start)
        if _text(values.pop(_CHARACTER_SET, b"")) not in _LIKE_ASCII:
            return None
        found = {_WANTED[tag][1]: _text(value) for tag, value in values.items()}
    except (_NotPlain, struct.error):  # the latter: it goes on behind these bytes
        return None
    return {keyword: text for keyword, text in found.items() if text}, syntax


def _transfer_syntax(head: bytes) -> tuple[str, int]:
    at, syntax = _META_AT, ""
    while True:
        group, number, vr, length = _SHORT.unpack_from(head, at)
        if group != 2:
            break
        at += _SHORT.size
        if vr in _LONG_VRS:
            (length,) = _LONG_LENGTH.unpack_from(head, at)
            at += _LONG_LENGTH.size
        elif vr not in _SHORT_VRS:
            raise _NotPlain
        if group << 16 | number == _TRANSFER_SYNTAX:
            syntax = _text(head[at : at + length])
        at += length
    if not syntax.startswith(_STANDARD_SYNTAXES) or syntax in _NOT_PLAIN:
        raise _NotPlain
    return syntax, at


def _explicit_values(head: bytes, at: int) -> dict[int, bytes]:
    values, before = dict[int, bytes](), 0x0007FFFF
    unpack, size = _SHORT.unpack_from, len(head)
    while True:
        group, number, vr, length = unpack(head, at)
        at += 8
        tag = group << 16 | number
        if tag <= before or at > size:
            raise _NotPlain
        if tag > LAST_TAG:
            return values
        if vr in _LONG_VRS:
            (length,) = _LONG_LENGTH.unpack_from(head, at)
            at += 4
            if length == _UNDEFINED:
                raise _NotPlain
        elif vr not in _SHORT_VRS:
            raise _NotPlain
        if tag in _WANTED or tag == _CHARACTER_SET:
            if vr != (b"CS" if tag == _CHARACTER_SET else _WANTED[tag][0]):
                raise _NotPlain
            values[tag] = head[at : at + length]
        at, before = at + length, tag


def _implicit_values(head: bytes, at: int) -> dict[int, bytes]:
    values, before = dict[int, bytes](), 0x0007FFFF
    if head[at + 4 : at + 6].isalpha():  # as if it were explicit, which is a case for pydicom's own doubts
        raise _NotPlain
    while True:
        group, number, length = _IMPLICIT.unpack_from(head, at)
        at += 8
        tag = group << 16 | number
        if tag <= before:
            raise _NotPlain
        if tag > LAST_TAG:
            return values
        if length == _UNDEFINED:
            raise _NotPlain
        if tag in _WANTED or tag == _CHARACTER_SET:
            values[tag] = head[at : at + length]
        at, before = at + length, tag


def _text(value: bytes) -> str:
    """One value of printable ASCII without its padding."""
    plain = value.rstrip(b"\0 ")
    if not plain.isascii() or b"\\" in plain or b"=" in plain or len(plain) > 1024:
        raise _NotPlain
    text = plain.decode("ascii").strip()
    if text and not text.isprintable():
        raise _NotPlain
    return text
