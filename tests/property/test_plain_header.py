"""A plain header says what pydicom says, or nothing: whatever stands in a file, and however it is spoiled."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from appliance.errors import CannotUnderstand
from appliance.ingest import header
from appliance.ingest.file_meta import file_head
from appliance.ingest.header import Header, read_header
from appliance.ingest.plain_header import HEAD_BYTES, plain_header
from tests.dicom_factory import as_bytes
from tests.fuzz.mutations import mutated
from tests.small_box import image

#: pydicom remarks on each bad value; the receiver's process silences that, because a remark quotes the value.
pytestmark = pytest.mark.filterwarnings("ignore")

_UIDS = ((0x00080016, "1.2.840.10008.5.1.4.1.1.2"), (0x00080018, "1.2.3"), (0x0020000D, "1.2.4"), (0x0020000E, "1.2.5"))
_TEXTS = (
    (0x00080020, b"DA"),
    (0x00080050, b"SH"),
    (0x00080060, b"CS"),
    (0x00081030, b"LO"),
    (0x00100010, b"PN"),
    (0x00100020, b"LO"),
    (0x00101010, b"AS"),
)
_ITEM = bytes.fromhex("feff00e000000000")
_BETWEEN = (
    (0x00080008, b"CS", b"DERIVED\\PRIMARY "),
    (0x00081110, b"SQ", _ITEM),
    (0x00090010, b"LO", b"PROPERTY"),
    (0x00091001, b"OB", b"\1\2\3\4"),
    (0x00091002, b"ZZ", b"\1\2"),
    (0x00181030, b"LO", b"protocol"),
)
_CHARACTER_SETS = (None, None, b"ISO_IR 192", b"ISO_IR 100", b"ISO_IR 13 ", b"\\ISO 2022 IR 87 ", b"nonsense")
_LETTERS = st.sampled_from(
    [b"a", b"Z", b"9", b" ", b"^", b"=", b"\\", b".", b"\0", b"\x1b", b"\xe4", "ß".encode(), b"1.2"]
)


def _element(tag: int, vr: bytes, value: bytes, *, implicit: bool, undefined: bool = False) -> bytes:
    value += b"\0" * (len(value) % 2)
    number = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    length = struct.pack("<I", 0xFFFFFFFF if undefined else len(value))
    end = bytes.fromhex("feffdde000000000") if undefined else b""
    if implicit:
        return number + length + value + end
    if vr in (b"OB", b"SQ"):
        return number + vr + b"\0\0" + length + value + end
    return number + vr + length[:2] + value


@st.composite
def _files(draw: st.DrawFn) -> bytes:
    """A file with any bytes where text is asked for, and what else may stand between."""
    syntax = draw(st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless]))
    implicit = syntax == ImplicitVRLittleEndian
    elements = {
        tag: (vr, b"".join(draw(st.lists(_LETTERS, max_size=9)))) for tag, vr in draw(st.sets(st.sampled_from(_TEXTS)))
    }
    elements |= {tag: (b"UI", value.encode()) for tag, value in _UIDS}
    elements |= {tag: (vr, value) for tag, vr, value in draw(st.sets(st.sampled_from(_BETWEEN)))}
    if (character_set := draw(st.sampled_from(_CHARACTER_SETS))) is not None:
        elements[0x00080005] = (b"CS", character_set)
    undefined = draw(st.booleans())
    data = b"".join(
        _element(tag, vr, value, implicit=implicit, undefined=undefined and vr == b"SQ")
        for tag, (vr, value) in sorted(elements.items())
    )
    data += _element(0x00200013, b"IS", b"1", implicit=implicit)
    return file_head("1.2.840.10008.5.1.4.1.1.2", "1.2.3", str(syntax)) + data


def _read(content: bytes) -> Header | str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.dcm"
        path.write_bytes(content)
        try:
            return read_header(path)
        except CannotUnderstand as refused:
            return refused.comment


def _same(content: bytes) -> bool:
    """Both say the same; True if it was plain."""
    plain = plain_header(content[:HEAD_BYTES])
    if plain is None:
        return False
    quick = _read(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header, "plain_header", lambda _: None)
        assert _read(content) == quick
    return True


@settings(max_examples=400)
@given(_files())
def test_whatever_the_texts_are(content: bytes) -> None:
    """Padding, several values, other alphabets, control characters, sequences and private elements."""
    _same(content)


def test_however_it_is_spoiled() -> None:
    """Damage in the header, three hundred times; and much of it is still plain."""
    seeds = [as_bytes(image())[:1400] + bytes(200)]
    assert sum(_same(mutated(seeds, number)) for number in range(300)) > 30


def test_most_images_are_plain() -> None:
    """Else nothing is gained."""
    assert _same(as_bytes(image()))
