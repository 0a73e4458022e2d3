"""A plain PNG or JPEG with the DICOM attributes that a person vouches for → a data set in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from models.codestream import stated_size
from models.errors import CannotTriage
from models.pixels import DEFAULT_LIMITS, PixelLimits
from models.reasons import Reason
from models.tolerant_reading import UNREADABLE, quietly

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_NO_TEXT_VR = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "AT"})
_MAX_FILE_BYTES = 1 << 28


def is_picture(path: Path) -> bool:
    """True when the file starts as a PNG or JPEG. Raises OSError when it cannot be read."""
    with path.open("rb") as stream:
        return stream.read(8).startswith((_PNG, _JPEG))


def attributes_of(text: str) -> dict[str, str]:
    """``"Modality=DX,BodyPartExamined=CHEST"`` → DICOM keywords with their values.

    Raises:
        ValueError: a part is not ``keyword=value``, or the keyword is not in the DICOM dictionary (PS3.6).
    """
    attributes: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        keyword, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ValueError(f"{part!r} is not keyword=value")
        tag = tag_for_keyword(keyword) if keyword else None
        if tag is None or not _NO_TEXT_VR.isdisjoint(dictionary_VR(tag).split(" or ")):
            raise ValueError(f"{keyword!r} is not the keyword of a DICOM element that text can fill")
        attributes[keyword] = value
    return attributes


def dataset_from_picture(path: Path, attributes: dict[str, str], limits: PixelLimits = DEFAULT_LIMITS) -> Dataset:
    """Read a PNG or JPEG as a MONOCHROME2 data set, 8 or 16 bit, with UIDs that follow from the file's bytes.

    Colour becomes luminance. The picture is taken as it would be shown: brighter = denser.

    Raises:
        CannotTriage: ``not_an_image`` when it is neither PNG nor JPEG, ``too_large``, or
        ``unreadable_pixels``. ValueError: an attribute is not in the DICOM dictionary, or its value does not
        fit.
    """
    content = _content(path)
    pixels = _decoded(content, limits)
    digest = hashlib.sha256(content).digest()
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = f"2.25.{int.from_bytes(digest[:16], 'big')}"
    dataset.StudyInstanceUID = f"2.25.{int.from_bytes(digest[16:], 'big')}"
    for keyword, value in attributes_of(_joined(attributes)).items():
        _set(dataset, keyword, value)
    _set_pixels(dataset, pixels)
    return dataset


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise CannotTriage(Reason.too_large, f"the file is over {_MAX_FILE_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise CannotTriage(Reason.unreadable_pixels, f"the file cannot be read ({error.strerror})") from None


def _decoded(content: bytes, limits: PixelLimits) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16 | np.uint8]]:
    size = _size(content)
    if size is None:
        raise CannotTriage(Reason.not_an_image, "neither a PNG nor a JPEG")
    if size[0] * size[1] > limits.max_pixels:
        raise CannotTriage(Reason.too_large, f"{size[0] * size[1]} pixels, the limit is {limits.max_pixels}")
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        decoded = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None or decoded.ndim != 2:
        raise CannotTriage(Reason.unreadable_pixels, "the picture does not decode")
    return decoded.astype(np.uint16 if decoded.dtype == np.uint16 else np.uint8)


def _size(content: bytes) -> tuple[int, int] | None:
    if content.startswith(_PNG):
        return int.from_bytes(content[20:24], "big"), int.from_bytes(content[16:20], "big")
    stated = stated_size(content) if content.startswith(_JPEG) else None
    return stated[:2] if stated else None


def _joined(attributes: dict[str, str]) -> str:
    return ",".join(f"{keyword}={value}" for keyword, value in attributes.items())


def _set(dataset: Dataset, keyword: str, value: str) -> None:
    number = dictionary_VR(keyword) in {"US", "SS", "UL", "SL", "FL", "FD"}
    try:
        with quietly():
            setattr(dataset, keyword, float(value) if number else value)
    except UNREADABLE:
        raise ValueError(f"{value!r} does not fit {keyword}") from None


def _set_pixels(dataset: Dataset, pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint16 | np.uint8]]) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    native = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.add_new("PixelData", "OW" if pixels.dtype.itemsize > 1 else "OB", native + b"\0" * (len(native) % 2))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
