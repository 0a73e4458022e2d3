"""What is read out of a received file, in a process that may die of it: headers as DICOM JSON, frames, bulk data.

Each function returns a value or :class:`Unreadable`; an OSError of the disk goes through.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from pydicom import dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from appliance.dicomweb.attributes import READ, DicomJson, Level, key_of
from appliance.dicomweb.pixel_place import DOUBLE_PIXELS, FLOAT_PIXELS, PIXELS, pixel_element
from models.errors import CannotTriage
from models.pixels import open_dicom
from models.tolerant_reading import DAMAGED, UNREADABLE, quietly

#: Longer binary values are referred to, not written into the metadata, bytes.
INLINE_BYTES: Final = 1024
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_PIXELS: Final = {FLOAT_PIXELS: "OF", DOUBLE_PIXELS: "OD", PIXELS: "OW"}
_READ: Final = {key_of(keyword): keyword for level in Level for part in READ[level] for keyword in part}


@dataclass(frozen=True)
class Unreadable:
    """It cannot be read out of this file: why, in words without a value of the file."""

    why: str


def open_file(path: Path, most_bytes: int, *, with_pixels: bool) -> Dataset | Unreadable:
    """The data set; values are read when they are asked for. Raises OSError: the disk failed."""
    try:
        return open_dicom(path, with_pixels=with_pixels, max_inflated_bytes=most_bytes)
    except CannotTriage as error:
        return Unreadable(f"{error.reason.value}: {error.detail}" if error.detail else error.reason.value)


def headers_of(paths: list[Path], most_bytes: int) -> list[DicomJson | Unreadable]:
    """Of each file the attributes that QIDO-RS knows."""
    found: list[DicomJson | Unreadable] = []
    for path in paths:
        try:
            dataset = open_file(path, most_bytes, with_pixels=False)
        except OSError as error:
            found.append(Unreadable(f"the disk did not give it ({error.strerror})"))
            continue
        if isinstance(dataset, Unreadable):
            found.append(dataset)
            continue
        with quietly():
            found.append({key: value for key in _READ if (value := _element(dataset, key)) is not None})
    return found


def metadata_of(files: list[tuple[Path, str]], most_bytes: int) -> list[str | Unreadable]:
    """Of each file all but its bulk data as DICOM JSON text (PS3.18 F.2); the other value is its own address."""
    found: list[str | Unreadable] = []
    for path, address in files:
        dataset = open_file(path, most_bytes, with_pixels=False)
        if isinstance(dataset, Unreadable):
            found.append(dataset)
            continue
        try:
            with quietly():
                _settle_vrs(dataset)
                made = _as_json(dataset, f"{address}/bulkdata/")
                if (pixels := pixel_element(path)) is not None:
                    made[f"{pixels:08X}"] = {"vr": _PIXELS[pixels], "BulkDataURI": f"{address}/bulkdata/{pixels:08X}"}
                found.append(json.dumps(made, allow_nan=False))
        except DAMAGED as error:
            found.append(Unreadable(type(error).__name__))
    return found


def bulk_of(path: Path, where: str, most_bytes: int) -> bytes | Unreadable:
    """The value at ``where``: a tag, or tags with the number of the sequence's item between, joined by ``/``."""
    dataset = open_file(path, most_bytes, with_pixels=True)
    if isinstance(dataset, Unreadable):
        return dataset
    try:
        with quietly():
            *outer, last = where.split("/")
            for tag, item in zip(outer[::2], outer[1::2], strict=True):
                dataset = dataset[int(tag, 16)].value[int(item)]
            value = dataset[int(last, 16)].value
    except DAMAGED:
        return Unreadable("there is no such element")
    return value if isinstance(value, bytes) else Unreadable("its value is not binary")


def native_of(path: Path, most_bytes: int) -> bytes | Unreadable:
    """The file as Explicit VR Little Endian, its pixels decompressed."""
    dataset = open_file(path, most_bytes, with_pixels=True)
    if isinstance(dataset, Unreadable):
        return dataset
    try:
        with quietly():
            if decoded_bytes(dataset) > most_bytes:
                return Unreadable("too large to decompress here")
            if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
                dataset.decompress(as_rgb=False, generate_instance_uid=False)
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            buffer = BytesIO()
            dcmwrite(buffer, dataset, enforce_file_format=True)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            raise
        return Unreadable(type(error).__name__)
    return buffer.getvalue()


def decoded_bytes(dataset: Dataset, frames: int | None = None) -> int:
    """The bytes of so many frames (all) after decompression, by the header; 0 for what is no image."""
    if "Rows" not in dataset:
        return 0
    number = int(dataset.get("NumberOfFrames") or 1) if frames is None else frames
    bits = int(dataset.BitsAllocated) * int(dataset.get("SamplesPerPixel") or 1)
    return number * int(dataset.Rows) * int(dataset.Columns) * max(bits, 8) // 8


def _settle_vrs(dataset: Dataset) -> None:
    """An Implicit VR file leaves open which of two VRs some elements have; other elements say so (PS3.5 A.1)."""
    if dataset.original_encoding[0]:
        with contextlib.suppress(*UNREADABLE):  # what stays open goes out as UN
            correct_ambiguous_vr(dataset, is_little_endian=True)


def _as_json(dataset: Dataset, bulk: str) -> DicomJson:
    """Elements that cannot be read are left out; group lengths are not part of it."""
    made: DicomJson = {}
    for tag in _tags(dataset):
        if (value := _json_of(dataset, f"{tag:08X}", bulk)) is not None:
            made[f"{tag:08X}"] = value
    return made


def _tags(dataset: Dataset) -> Iterator[int]:
    return (int(tag) for tag in sorted(dataset.keys()) if tag.element != 0 and tag.group > 2)


def _json_of(dataset: Dataset, key: str, bulk: str) -> DicomJson | None:
    try:
        found = dataset[int(key, 16)]
    except UNREADABLE:
        return None
    if found.VR == "SQ":
        items = [_as_json(item, f"{bulk}{key}/{number}/") for number, item in enumerate(found.value)]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    if found.VR in _BINARY and isinstance(found.value, bytes) and len(found.value) > INLINE_BYTES:
        return {"vr": found.VR, "BulkDataURI": f"{bulk}{key}"}
    return _converted(found)


def _element(dataset: Dataset, key: str) -> DicomJson | None:
    """One attribute; None when it is not there or cannot be read."""
    try:
        found = dataset.get(Tag(int(key, 16)))
    except UNREADABLE:
        return None
    return None if found is None else _converted(found)


def _converted(found: DataElement) -> DicomJson | None:
    if " or " in found.VR:
        found = DataElement(found.tag, "UN", found.value if isinstance(found.value, bytes) else b"")
    try:
        made: DicomJson = found.to_json_dict(None, INLINE_BYTES * INLINE_BYTES)
    except (*UNREADABLE, RuntimeError):
        return None
    if "Value" in made:
        made["Value"] = [_finite(value) for value in made["Value"]]
    return made


def _finite(value: Any) -> Any:
    """JSON has no word for what is not a number or has no end."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
