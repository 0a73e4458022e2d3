"""What reception reads of a file, and what it makes of headers that lie."""

from __future__ import annotations

import hashlib
import resource
import struct
import zlib
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless

from appliance.errors import CannotUnderstand
from appliance.ingest.bounded_file import MOST_BYTES
from appliance.ingest.header import Seen, dataset_digest, header_of, read_header
from appliance.ingest.plain_header import HEAD_BYTES, plain_header
from appliance.ingest.received_file import ReceivedFile
from store_forward.spool import Spool
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


def test_what_was_seen_is_not_read_again(tmp_path: Path) -> None:
    """What is found in what was written is the header of the file."""
    spool, whole, piece = Spool(tmp_path, free_floor_bytes=0), as_bytes(image()).ljust(2 * HEAD_BYTES, b"\0"), 40_000
    received = ReceivedFile(spool)
    for at in range(0, len(whole), piece):
        received.write(memoryview(whole)[at : at + piece])
    received.close()
    assert received.seen == Seen(hashlib.sha256(whole).hexdigest(), len(whole), whole[:HEAD_BYTES])
    found = plain_header(received.seen.head)
    assert found is not None
    assert header_of(*found) == read_header(Path(received.name))


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


def _element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One explicit VR little endian element with a length of four bytes, which may lie."""
    stated = len(value) if length is None else length
    return struct.pack("<HH2sHI", group, number, vr, 0, stated) + value


def _with_inside(more: bytes) -> bytes:
    """A good file with ``more`` in front of its group 0020."""
    content = as_bytes(image())
    at = content.index(struct.pack("<HH", 0x0020, 0x000D))
    return content[:at] + more + content[at:]


@pytest.mark.parametrize(
    "more",
    [
        _element(0x0019, 0x1001, b"OB", b"", 0xFFFFFFF0),
        _element(0x0019, 0x1001, b"OB", b"x" * 100, 0xFFFFFFFF),
        (_element(0x0019, 0x1001, b"SQ", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 20_000,
        _element(0x0019, 0x1001, b"OB", b"") * 100_000,
        _element(0x0019, 0x1001, b"OB", bytes(MOST_BYTES + 1)),
    ],
    ids=["a length of 4 GB", "without an end", "20,000 sequences deep", "100,000 elements", "64 MiB in one"],
)
def test_a_header_that_wants_memory_or_time(tmp_path: Path, more: bytes) -> None:
    """It is refused, with no more memory than the file has and within a bounded number of steps."""
    path = tmp_path / "a.dcm"
    path.write_bytes(_with_inside(more))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CannotUnderstand):
        read_header(path)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 8 * MOST_BYTES


def test_a_deflated_header_is_inflated_only_so_far(tmp_path: Path) -> None:
    """A megabyte that becomes a gigabyte costs the receiver what a header may have."""
    dataset = image(PixelData=None)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = as_bytes(dataset)
    start = 144 + struct.unpack("<I", content[140:144])[0]
    deflater = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(zlib.decompress(content[start:], -zlib.MAX_WBITS))
    bomb += deflater.compress(_element(0x7FE0, 0x0010, b"OW", b"", 1 << 30))
    nothing = bytes(1 << 20)
    bomb += b"".join(deflater.compress(nothing) for _ in range(96)) + deflater.flush()
    path = tmp_path / "bomb.dcm"
    path.write_bytes(content[:start] + bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_header(path).sop_instance_uid == dataset.SOPInstanceUID
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 4 * MOST_BYTES


def test_a_value_of_a_megabyte_is_as_good_as_absent(tmp_path: Path) -> None:
    """Nobody's name is that long; the image is taken all the same."""
    dataset = image()
    dataset.add_new("StudyDescription", "UT", "A" * 1_000_000)
    header = read_header(as_file(dataset, tmp_path / "a.dcm"))
    assert header.study_description == ""
    assert header.patient_id == dataset.PatientID
