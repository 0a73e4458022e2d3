"""The second check: what is about to leave is read anew, byte for byte, and searched for anything of the patient's.

It knows neither the allow-list nor the profile, only what the originals said, and it lets nothing go that repeats it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from appliance.privacy.errors import CannotDeidentify
from appliance.privacy.identifiers import Identifiers, Kind, folded

_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, IndexError, OverflowError)
#: In bytes that mean no text, such as pixels, shorter words come about by chance.
_SHORTEST_IN_BYTES: Final = 6
_BINARY: Final = ("OB", "OW", "OF", "OD", "OL", "OV", "UN")
_NUMERIC: Final = ("US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT")
#: Words of DICOM and of English that are somebody's name as well; they say nothing about who it was.
_EVERYDAY_WORDS = """
 abdomen head chest hand foot arm leg knee hip neck heart lung brain breast spine pelvis skull shoulder elbow finger
 axial left right lateral original primary secondary derived other none removed unknown animal homo sapiens yes no
 identity scintillator direct film storage linear basic option profile clean retain pixel data device graphics
 information patient application confidentiality longitudinal temporal modified dates characteristics descriptors
 structured content uids safe private scanside allow list annex monochrome2 monochrome1 dcm iso_ir iso presentation
 processing
 ap pa ll rl al la ra ar us hu od cc ml lm cr ct dx io mg mr nm pt px rf rg xa sc ot ds fs se gr ep ir
"""
_EVERYDAY: Final = frozenset(_EVERYDAY_WORDS.split())
_WORDS = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"[0-9]+")
#: Digits of a date with a time behind it.
_TIMES = (10, 12, 14)


def require_nothing_of(patient: Identifiers, file: bytes) -> None:
    """Search a Part 10 file that is about to leave.

    Raises CannotDeidentify (``identifier_left``), which says of what kind and where, never the value; also when the
    file cannot be read back, since what cannot be read cannot be vouched for.
    """
    try:
        dataset = dcmread(BytesIO(file))
        _require(patient, (dataset.preamble or b"").decode("latin-1").replace("\0", " "), "its preamble")
        for part in (dataset.file_meta, dataset):
            _require_elements(patient, part)
    except (InvalidDicomError, EOFError, *_UNREADABLE) as error:
        raise CannotDeidentify("identifier_left", "the copy cannot be read back to be checked") from error
    _search_bytes(patient, file, "its bytes")


def require_nothing_in_text(patient: Identifiers, text: str, where: str) -> None:
    """Search words that are about to leave: names of files, addresses, headers, what goes as JSON."""
    _require(patient, text, where)


def require_nothing_in_archive(patient: Identifiers, archive: Path) -> None:
    """Search an archive that is about to leave: its entries' names and notes, and the bytes between the entries.

    The entries themselves were searched one by one when they were added.
    """
    with archive.open("rb") as file, zipfile.ZipFile(file) as opened:
        for entry in opened.infolist():
            _require(patient, entry.filename, "the name of an entry")
            _search_bytes(patient, entry.extra + entry.comment, "an entry's notes")
        _search_bytes(patient, opened.comment, "the archive's notes")
        file.seek(opened.start_dir)
        _search_bytes(patient, file.read(), "the archive's directory")


def _require(patient: Identifiers, text: str, where: str) -> None:
    searched = folded(text)
    words = set(_WORDS.findall(searched))
    for word, kind in patient.words.items():
        if word not in _EVERYDAY and (word in words or (not word.isalnum() and word in searched)):
            raise _found(kind, where)
    runs = set(_DIGITS.findall(text))
    for value, kind in patient.numbers.items():
        in_time = any(run.startswith(value) for run in runs if len(run) in _TIMES)
        if value in runs or in_time or (not value.isdecimal() and value in text):
            raise _found(kind, where)
    _require_no_uid(patient, text, where)


def _require_no_uid(patient: Identifiers, text: str, where: str) -> None:
    for uid, kind in patient.uids.items():
        if uid in text:
            raise _found(kind, where)


def _search_bytes(patient: Identifiers, data: bytes, where: str) -> None:
    lowered = data.lower()
    for value, kind in _long(patient):
        for encoded in {_encoded(value, one) for one in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")}:
            if _stands_in(encoded, lowered, alone=value.isdecimal()):
                raise _found(kind, where)


def _stands_in(wanted: bytes, data: bytes, *, alone: bool) -> bool:
    """Whether ``wanted`` is in ``data``; ``alone`` when no digit may stand beside it, as in a longer number."""
    at = data.find(wanted)
    while at >= 0:
        beside = data[max(at - 1, 0) : at] + data[at + len(wanted) : at + len(wanted) + 1]
        if not alone or not any(48 <= sign <= 57 for sign in beside):
            return True
        at = data.find(wanted, at + 1)
    return False


def _long(patient: Identifiers) -> Iterator[tuple[str, Kind]]:
    for wanted in (patient.words, patient.numbers, patient.uids):
        for value, kind in wanted.items():
            if len(value) >= _SHORTEST_IN_BYTES and value not in _EVERYDAY:
                yield value, kind


def _encoded(value: str, encoding: str) -> bytes:
    try:
        return value.encode(encoding)
    except UnicodeEncodeError:
        return value.encode("utf-8")


def _require_elements(patient: Identifiers, dataset: Dataset) -> None:
    for element in dataset:
        where = f"({element.tag.group:04X},{element.tag.element:04X})"
        if element.VR == "SQ":
            for item in element.value:
                _require_elements(patient, item)
        elif element.VR == "UI":
            _require_no_uid(patient, _shown(element.value), where)
        elif element.VR in _BINARY:  # seen here as well because a deflated file shows nothing as bytes
            _search_bytes(patient, bytes(element.value or b""), where)
        elif element.VR in ("DS", "IS"):
            _require_other_numbers(patient, element, where)
        elif element.VR not in _NUMERIC:
            _require(patient, _shown(element.value), where)


def _require_other_numbers(patient: Identifiers, element: DataElement, where: str) -> None:
    for part in _shown(element.value).split(" "):
        if part in patient.numbers:
            raise _found(patient.numbers[part], where)


def _shown(value: Any) -> str:
    parts = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "insert") else [value]
    return " ".join("" if part is None else str(part) for part in parts)


def _found(kind: Kind, where: str) -> CannotDeidentify:
    return CannotDeidentify("identifier_left", f"{kind.value} of the original is still in {where}")
