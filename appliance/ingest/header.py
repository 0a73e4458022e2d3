"""What reception needs to know of an instance, read without touching its pixels."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from appliance.errors import CannotUnderstand
from appliance.ingest.bounded_file import MOST_BYTES, BoundedFile
from appliance.ingest.plain_header import HEAD_BYTES, LAST_TAG, plain_header
from models.tolerant_reading import DAMAGED, UNREADABLE

_LONGEST_VALUE = 10_240  # bytes; no element that is asked for here may have more than 1,024 (PS3.5 6.2)
_PIECE_BYTES = 1 << 20
#: Characters that are kept of each.
_LONGEST = {
    "Modality": 16,
    "PatientID": 64,
    "PatientName": 200,
    "PatientAge": 4,
    "AccessionNumber": 16,
    "StudyDate": 8,
    "StudyDescription": 64,
}
_UIDS = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
_UID_CHARACTERS = frozenset("0123456789.")


class Header(NamedTuple):
    """The identifying elements of one instance; absent text is ``""``, UIDs are present and well formed."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    modality: str
    patient_id: str
    patient_name: str
    patient_age: str
    accession_number: str
    study_date: str
    study_description: str


class Seen(NamedTuple):
    """What whoever wrote a file knows of it: its SHA-256 in lower-case hexadecimal, length and first 64 KiB."""

    digest: str
    size_bytes: int
    head: bytes


def read_header(path: Path) -> Header:
    """Read the elements up to group 0020 of a Part 10 file.

    Raises:
        CannotUnderstand: not DICOM, torn before the UIDs, or a UID is missing or malformed (PS3.5 9.1).
    """
    with path.open("rb") as stream:
        found = plain_header(stream.read(HEAD_BYTES)) or _texts(*_parse(stream))
    return header_of(*found)


def header_of(texts: dict[str, str], transfer_syntax_uid: str) -> Header:
    """Of text by keyword. Raises CannotUnderstand: a UID is missing or malformed."""
    return Header(
        sop_instance_uid=_uid(texts, "SOPInstanceUID"),
        sop_class_uid=_uid(texts, "SOPClassUID"),
        study_instance_uid=_uid(texts, "StudyInstanceUID"),
        series_instance_uid=_uid(texts, "SeriesInstanceUID"),
        transfer_syntax_uid=transfer_syntax_uid,
        modality=_cut(texts, "Modality"),
        patient_id=_cut(texts, "PatientID"),
        patient_name=_cut(texts, "PatientName"),
        patient_age=_cut(texts, "PatientAge"),
        accession_number=_cut(texts, "AccessionNumber"),
        study_date=_cut(texts, "StudyDate"),
        study_description=_cut(texts, "StudyDescription"),
    )


def _parse(stream: BinaryIO) -> tuple[Dataset, str]:
    try:
        syntax = _transfer_syntax(stream)
        if syntax == DeflatedExplicitVRLittleEndian:
            inflated = BoundedFile(BytesIO(_inflated(stream)))
            return read_dataset(inflated, False, True, stop_when=_is_behind), syntax  # type: ignore[arg-type]
        return read_partial(BoundedFile(stream), stop_when=_is_behind), syntax  # type: ignore[arg-type]
    except InvalidDicomError:
        raise CannotUnderstand("not a DICOM file: the DICM prefix is missing") from None
    except DAMAGED as error:
        raise CannotUnderstand(f"header cannot be read ({type(error).__name__}); send it again") from None


def _is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > LAST_TAG


def _transfer_syntax(stream: BinaryIO) -> str:
    """As the file meta information says; leaves ``stream`` behind it."""
    bounded = BoundedFile(stream)
    read_preamble(bounded, False)  # type: ignore[arg-type]
    return str(_read_file_meta_info(bounded).get("TransferSyntaxUID", ""))  # type: ignore[arg-type]


def _inflated(stream: BinaryIO) -> bytes:
    """The start of a deflated data set (PS3.5 A.5), where the header is: kilobytes can become gigabytes."""
    inflater, pieces, size = zlib.decompressobj(-zlib.MAX_WBITS), list[bytes](), 0
    while size < MOST_BYTES and (piece := inflater.unconsumed_tail or stream.read(_PIECE_BYTES)):
        pieces.append(inflater.decompress(piece, _PIECE_BYTES))
        size += len(pieces[-1])
        if inflater.eof:
            break
    return b"".join(pieces)


def _texts(dataset: Dataset, transfer_syntax_uid: str) -> tuple[dict[str, str], str]:
    return {keyword: _text(dataset, keyword) for keyword in (*_LONGEST, *_UIDS)}, transfer_syntax_uid


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        if getattr(dataset.get_item(keyword), "length", 0) > _LONGEST_VALUE:  # of a value not converted yet
            return ""
        value = dataset.get(keyword)
    except UNREADABLE:
        return ""  # a value no one can read is as good as absent; the file itself is kept as it came
    text = "" if value is None else str(value)
    return "".join(c for c in text if c.isprintable()).strip()


def _cut(texts: dict[str, str], keyword: str) -> str:
    return texts.get(keyword, "")[: _LONGEST[keyword]]


def _uid(texts: dict[str, str], keyword: str) -> str:
    text = texts.get(keyword, "")
    if not text:
        raise CannotUnderstand(f"{keyword} is missing")
    if not is_uid(text):
        raise CannotUnderstand(f"{keyword} is not a valid UID (PS3.5 9.1)")
    return text


def is_uid(text: str) -> bool:
    """Whether it has the form of a UID (PS3.5 9.1); leading zeros, which real devices write, are let pass."""
    dotted = _UID_CHARACTERS.issuperset(text) and not text.startswith(".") and ".." not in text
    return 0 < len(text) <= 64 and dotted


def dataset_digest(path: Path) -> str:
    """SHA-256 of the data set alone, so that two file-meta headers around the same data set compare equal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        stream.seek(_dataset_offset(stream))
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _dataset_offset(stream: BinaryIO) -> int:
    """Where group 0002 ends, from (0002,0000) FileMetaInformationGroupLength; 0 when that is not there."""
    head = stream.read(144)
    if head[128:132] != b"DICM" or head[132:138] != b"\x02\x00\x00\x00UL":
        return 0
    end = 144 + int(struct.unpack("<I", head[140:144])[0])
    return min(end, stream.seek(0, os.SEEK_END))
