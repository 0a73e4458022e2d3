"""What reception reads of a file, and what it makes of headers that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from appliance.errors import CannotUnderstand
from appliance.ingest.header import dataset_digest, read_header
from tests.dicom_factory import as_bytes, as_file, compressed, uid
from tests.small_box import image

#: pydicom remarks on each bad value; the receiver's process silences that, because a remark quotes the value.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def as_lying(dataset: Dataset, tag: int, vr: bytes, value: bytes) -> bytes:
    """The file of ``dataset`` with one short element replaced by another VR and value, byte by byte."""
    whole = as_bytes(dataset)
    start = whole.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
    length = struct.unpack("<H", whole[start + 6 : start + 8])[0]
    element = whole[start : start + 4] + vr + struct.pack("<H", len(value)) + value
    return whole[:start] + element + whole[start + 8 + length :]


def test_the_identifying_elements(tmp_path: Path) -> None:
    """Everything a study row shows comes out of the header."""
    header = read_header(as_file(image(StudyDescription="Chest"), tmp_path / "a.dcm"))
    assert header.sop_instance_uid == uid("instance 0")
    assert header.study_instance_uid == uid("study 0")
    assert header.series_instance_uid == uid("series 0")
    assert header.transfer_syntax_uid == ExplicitVRLittleEndian
    assert (header.modality, header.patient_id, header.patient_age) == ("DX", "P-0", "004Y")
    assert (header.patient_name, header.accession_number) == ("Phantom^0", "A0")
    assert (header.study_date, header.study_description) == ("20260314", "Chest")


def test_the_pixels_are_not_read(tmp_path: Path) -> None:
    """A file that breaks off inside its pixels still has its whole header."""
    path = tmp_path / "torn.dcm"
    path.write_bytes(as_bytes(image())[:-1000])
    assert read_header(path).sop_instance_uid == uid("instance 0")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"])
def test_a_missing_uid_is_named(tmp_path: Path, keyword: str) -> None:
    """Without one of its four UIDs an instance cannot be filed, and the message says which."""
    dataset = image()
    path = as_file(dataset, tmp_path / "a.dcm")
    whole = path.read_bytes()
    element = dataset[keyword]
    start = whole.index(struct.pack("<HH", element.tag.group, element.tag.element), 132)
    length = struct.unpack("<H", whole[start + 6 : start + 8])[0]
    path.write_bytes(whole[:start] + whole[start + 8 + length :])
    with pytest.raises(CannotUnderstand, match=f"{keyword} is missing"):
        read_header(path)


@pytest.mark.parametrize("value", [b"1.2.abc.4 ", b"1..2.3", b".1.2.3", b"9" * 66, b"../../etc\0"])
def test_a_malformed_uid_is_refused(tmp_path: Path, value: bytes) -> None:
    """A UID is digits and single dots, at most 64 characters (PS3.5 9.1)."""
    path = tmp_path / "a.dcm"
    path.write_bytes(as_lying(image(), 0x0020000D, b"UI", value))
    with pytest.raises(CannotUnderstand, match=r"StudyInstanceUID is not a valid UID \(PS3.5 9.1\)"):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 128 + b"DICX" + b"\0" * 64, b"\xff" * 4096])
def test_what_is_not_dicom_says_so(tmp_path: Path, content: bytes) -> None:
    """Anything without the DICM prefix is no Part 10 file (PS3.10 7.1)."""
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(CannotUnderstand, match="not a DICOM file"):
        read_header(path)


def test_every_torn_header_is_named(tmp_path: Path) -> None:
    """Wherever the header breaks off, the outcome is CannotUnderstand or a header with all its UIDs."""
    whole = as_bytes(image())
    path = tmp_path / "a.dcm"
    for length in range(0, 1400, 29):
        path.write_bytes(whole[:length])
        try:
            assert read_header(path).study_instance_uid == uid("study 0")
        except CannotUnderstand as refused:
            assert refused.dicom_status == 0xC000


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00080060, b"US", b"\x01\x00\x02"),
        (0x00100020, b"DS", b"not a number"),
        (0x00101010, b"AS", b"\xff\xfe\xfd\xfc"),
        (0x00080020, b"SQ", b"\x00\x00"),
        (0x00100010, b"PN", b"\xc3\x28^\xff"),
    ],
)
def test_a_lying_vr_costs_one_value_at_most(tmp_path: Path, tag: int, vr: bytes, value: bytes) -> None:
    """A value nobody can read counts as absent, or the file is refused as a whole; nothing else happens."""
    path = tmp_path / "a.dcm"
    path.write_bytes(as_lying(image(), tag, vr, value))
    try:
        assert read_header(path).study_instance_uid == uid("study 0")
    except CannotUnderstand as refused:
        assert refused.reason == "cannot_understand"


def test_text_is_cleaned_and_cut(tmp_path: Path) -> None:
    """Control characters go, long text is cut: both end up on a page and in a terminal."""
    path = tmp_path / "a.dcm"
    path.write_bytes(as_lying(image(), 0x00100020, b"LO", b"A\x1b[31mB" + b"x" * 200))
    found = read_header(path).patient_id
    assert found.startswith("A[31mBx")
    assert len(found) == 64


def test_the_data_set_digest_ignores_the_file_meta(tmp_path: Path) -> None:
    """Two senders that write another file header around the same data set sent the same instance."""
    first = image()
    second = image()
    second.file_meta.ImplementationVersionName = "OTHER"
    one, other = as_file(first, tmp_path / "a.dcm"), as_file(second, tmp_path / "b.dcm")
    assert one.read_bytes() != other.read_bytes()
    assert dataset_digest(one) == dataset_digest(other)


def test_the_data_set_digest_sees_every_other_byte(tmp_path: Path) -> None:
    """Another transfer syntax, or one other pixel, is other content."""
    digests = set()
    changed = image()
    changed.PixelData = changed.PixelData[:-1] + b"\x01"
    for number, dataset in enumerate([image(), changed, compressed(image(), JPEG2000Lossless)]):
        digests.add(dataset_digest(as_file(dataset, tmp_path / f"{number}.dcm")))
    assert len(digests) == 3


def test_a_lying_group_length_does_not_leave_the_file(tmp_path: Path) -> None:
    """A file meta group that claims to be longer than the file leaves nothing to digest, and no error."""
    whole = bytearray(as_bytes(image()))
    whole[140:144] = struct.pack("<I", 0xFFFFFFFF)
    path = tmp_path / "a.dcm"
    path.write_bytes(whole)
    assert len(dataset_digest(path)) == 64
