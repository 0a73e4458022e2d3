"""Instances that are torn, lie, or are none: each has a named outcome, words that say what to do, and is kept."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest
from pydicom.uid import MPEG2MPML, ExplicitVRLittleEndian, JPEG2000Lossless
from sqlalchemy import select

from appliance.schema import instances, set_aside, studies
from models.reasons import Reason
from store_forward.database import reading
from store_forward.outbox import deliveries
from tests.bad_input.doors import decide, drop, goes_on, kept, kept_aside, not_triaged, store, torn
from tests.dicom_factory import as_bytes, as_file, compressed, uid
from tests.listening_box import Listen, wait_until
from tests.small_box import SmallBox, image

#: pydicom remarks on bad values; the product's processes silence that, because a remark quotes the value.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

IN_THE_HEADER, IN_THE_PIXELS = 700, -5000


def write(path: Path, content: bytes) -> Path:
    """A file."""
    path.write_bytes(content)
    return path


def replaced(content: bytes, tag: int, vr: bytes, value: bytes) -> bytes:
    """``content`` with one short element's VR and value replaced, byte by byte."""
    start = content.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    length = struct.unpack("<H", content[start + 6 : start + 8])[0]
    element = content[start : start + 4] + vr + struct.pack("<H", len(value)) + value
    return content[:start] + element + content[start + 8 + length :]


def without(content: bytes, tag: int) -> bytes:
    """``content`` without one short element."""
    start = content.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    length = struct.unpack("<H", content[start + 6 : start + 8])[0]
    return content[:start] + content[start + 8 + length :]


def test_torn_in_the_header_over_c_store(box: SmallBox, listen: Listen, tmp_path: Path) -> None:
    """0xC000 and words; the torn data set is kept aside."""
    said = store(listen(box), write(tmp_path / "a.dcm", torn(IN_THE_HEADER)))
    assert said.startswith("pacs_refused: status 0xc000: ")
    assert "missing" in said or "send it again" in said
    (row,) = box.rows(set_aside)
    kept_aside(box, torn(IN_THE_HEADER), "cannot_understand", row.detail)
    goes_on(box)


def test_torn_in_the_pixels_over_c_store(box: SmallBox, listen: Listen, tmp_path: Path) -> None:
    """The header is whole, so it is taken in and acknowledged; reading says that it is damaged."""
    assert store(listen(box), write(tmp_path / "a.dcm", torn(IN_THE_PIXELS))) == "status 0x0000"
    kept(box, torn(IN_THE_PIXELS))
    not_triaged(decide(box), Reason.unreadable_pixels)
    goes_on(box)


def test_cut_off_during_c_store(box: SmallBox, listen: Listen) -> None:
    """The line breaks inside an instance: nothing was acknowledged, nothing is half there, the resend is taken."""
    scanner = listen(box)
    association = scanner.open(image())
    connection = association.dul.socket.socket
    context = association.accepted_contexts[-1].context_id
    command = (
        b"\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00"
        + element(0x0002, str(image().SOPClassUID).encode())
        + element(0x0100, b"\x01\x00")
        + element(0x0110, b"\x01\x00")
        + element(0x0700, b"\x00\x00")
        + element(0x0800, b"\x00\x00")
        + element(0x1000, str(image().SOPInstanceUID).encode())
    )
    connection.sendall(pdu(context, 0x03, command) + pdu(context, 0x00, as_bytes(image())[400:3000]))
    wait_until(lambda: any(box.incoming.iterdir()), "the first bytes to arrive")
    connection.shutdown(socket.SHUT_RDWR)
    association.kill()
    assert box.count(instances) == box.count(set_aside) == 0
    assert scanner.send(image())[0].Status == 0x0000
    kept(box, as_bytes(image()))


def element(number: int, value: bytes) -> bytes:
    """One command element in implicit little endian (PS3.7 6.3.1)."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def pdu(context: int, control: int, data: bytes) -> bytes:
    """One P-DATA-TF PDU with one fragment (PS3.8 9.3.5)."""
    item = struct.pack(">IBB", len(data) + 2, context, control) + data
    return struct.pack(">BBI", 4, 0, len(item)) + item


@pytest.mark.parametrize("length", [IN_THE_HEADER, IN_THE_PIXELS])
def test_torn_in_the_folder(box: SmallBox, folder: Path, length: int) -> None:
    """The same two outcomes; the file leaves the folder only for the spool."""
    assert drop(box, folder, torn(length))
    kept(box, torn(length))
    if length == IN_THE_HEADER:
        assert box.rows(set_aside)[0].reason == "cannot_understand"
        assert box.count(studies) == 0
    else:
        not_triaged(decide(box), Reason.unreadable_pixels)
    goes_on(box)


@pytest.mark.parametrize(
    "content", [b"", b"MZ\x90\x00" * 100, b"%PDF-1.7" + b" " * 500], ids=["empty", "program", "pdf"]
)
def test_not_dicom(box: SmallBox, folder: Path, content: bytes) -> None:
    """Kept aside as what it is not."""
    assert drop(box, folder, content)
    kept_aside(box, content, "cannot_understand", "not a DICOM file: the DICM prefix is missing")
    assert box.count(studies) == 0
    goes_on(box)


def test_no_pixel_data(box: SmallBox, listen: Listen, tmp_path: Path) -> None:
    """An image class without its pixels: something was lost on the way, and that is said."""
    content = as_bytes(image(PixelData=None))
    assert store(listen(box), write(tmp_path / "a.dcm", content)) == "status 0x0000"
    not_triaged(decide(box), Reason.no_pixel_data)
    kept(box, content)
    goes_on(box)


def test_a_hundred_thousand_pixels_square(box: SmallBox, folder: Path) -> None:
    """Ten gigapixels by the header: refused by the header, before anything of that size is made."""
    content = as_bytes(image(Rows=None, Columns=None))
    small = as_bytes(image())
    content = replaced(small, 0x00280010, b"UL", struct.pack("<I", 100_000))
    content = replaced(content, 0x00280011, b"UL", struct.pack("<I", 100_000))
    assert drop(box, folder, content)
    row = decide(box)
    not_triaged(row, Reason.too_large)
    assert row.detail == "10000000000 pixels, the limit is 100000000"
    kept(box, content)
    goes_on(box)


def test_an_unknown_sop_class_over_c_store(box: SmallBox, listen: Listen) -> None:
    """Its presentation context is not accepted, so the sender knows before it sends; others go on beside it."""
    private = ("1.2.826.0.1.3680043.99.1", str(ExplicitVRLittleEndian))
    association = listen(box).open(image(), contexts=[private])
    accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    assert private[0] not in accepted
    assert association.send_c_store(image()).Status == 0x0000
    association.release()
    kept(box, as_bytes(image()))


def test_an_unknown_sop_class_in_the_folder(box: SmallBox, folder: Path) -> None:
    """A private object without a picture is kept; the study says that there was nothing to read."""
    note = image(SOPClassUID="1.2.826.0.1.3680043.99.1", PixelData=None, Rows=None, Columns=None)
    assert drop(box, folder, as_bytes(note))
    not_triaged(decide(box), Reason.no_images)
    kept(box, as_bytes(note))
    goes_on(box)


def test_an_unsupported_transfer_syntax(box: SmallBox, listen: Listen, tmp_path: Path) -> None:
    """Film is taken in as it comes; reading says in which form to send it instead."""
    dataset = compressed(image(), JPEG2000Lossless)
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    path = as_file(dataset, tmp_path / "a.dcm")
    assert store(listen(box), path) == "status 0x0000"
    not_triaged(decide(box), Reason.unsupported_transfer_syntax)
    kept(box, path.read_bytes())
    goes_on(box)


def test_a_private_transfer_syntax(box: SmallBox, folder: Path, listen: Listen, tmp_path: Path) -> None:
    """Over C-STORE the context is refused; from the folder it is kept and said."""
    content = as_bytes(compressed(image(), JPEG2000Lossless))
    private = b"1.2.826.0.1.3680043.99"
    assert len(private) == len(str(JPEG2000Lossless).encode())
    content = content.replace(str(JPEG2000Lossless).encode(), private, 1)
    said = store(listen(box), write(tmp_path / "a.dcm", content))
    assert said.startswith("pacs_no_presentation_context")
    assert drop(box, folder, content)
    not_triaged(decide(box), Reason.unsupported_transfer_syntax)
    kept(box, content)


def test_a_missing_study_uid(box: SmallBox, listen: Listen, tmp_path: Path) -> None:
    """It cannot be filed under a study: 0xC000, and the words name the element."""
    content = without(as_bytes(image()), 0x0020000D)
    said = store(listen(box), write(tmp_path / "a.dcm", content))
    assert said == "pacs_refused: status 0xc000: StudyInstanceUID is missing"
    kept_aside(box, content, "cannot_understand", "StudyInstanceUID is missing")
    goes_on(box)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00280010, b"LO", b"many"),
        (0x00280010, b"DS", b"-96 "),
        (0x00280100, b"US", b"\x07\x00"),
        (0x00280004, b"CS", b"NONSENSE"),
        (0x00280002, b"US", b"\x63\x00"),
        (0x00281052, b"DS", b"1e999 "),
        (0x00281050, b"SQ", b"\x00\x00"),
        (0x00280008, b"IS", b"999999999 "),
    ],
    ids=["rows LO", "rows DS", "bits", "photometric", "samples", "intercept", "window SQ", "frames"],
)
def test_a_header_that_lies_about_the_pixels(box: SmallBox, folder: Path, tag: int, vr: bytes, value: bytes) -> None:
    """Whatever it says, the study ends decided with a reason; it is kept, and the worker goes on."""
    content = as_bytes(image(NumberOfFrames=1))
    content = replaced(content, tag, vr, value)
    assert drop(box, folder, content)
    kept(box, content)
    with reading(box.engine) as connection:
        taken = connection.execute(select(studies.c.study_instance_uid)).scalars().all()
    if taken:
        row = decide(box)
        assert row.decision == "not_triaged"
        assert row.reason in set(Reason)
        assert not [one for one in box.rows(deliveries) if one.kind == "picture"]
    else:
        assert box.rows(set_aside)[0].reason == "cannot_understand"
    goes_on(box)


def test_one_bad_image_does_not_hide_behind_good_ones(box: SmallBox) -> None:
    """A study whose second image is torn is not routine."""
    bad = as_bytes(image("routine", seed="1", StudyInstanceUID=uid("study 0")))[:IN_THE_PIXELS]
    box.admit(bad)
    box.receive(image("routine"))
    row = decide(box)
    assert (row.decision, row.reason) == ("escalate", "partly_covered")
    assert row.detail == "1 of 2 images not read: unreadable_pixels"
