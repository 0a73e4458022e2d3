"""One picture in every form in which a scanner or an archive may deliver it: polarity, depth, transfer syntax, tags."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset, validate_file_meta
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from models.scope import Scope
from models.tolerant_reading import quietly

Picture = NDArray[np.uint8]
Form = Callable[[Picture, Scope], Dataset]

_JPEG_XL_LOSSLESS, _DEFLATED_FRAME = UID("1.2.840.10008.1.2.4.110"), UID("1.2.840.10008.1.2.8.1")
_LOSSY_QUALITY = 75
_LOSS: dict[UID, dict[str, Any]] = {JPEGLSNearLossless: {"jls_error": 2}, JPEG2000: {"j2k_cr": [20]}}
#: Which element each question of a scope is answered by.
_ASKED = {"modalities": "Modality", "body_parts": "BodyPartExamined", "views": "ViewPosition"}


@dataclass(frozen=True, slots=True)
class DicomForm:
    """A name for a person, how to make it, and what should become of it: ``same``, ``close`` or ``refused``."""

    name: str
    make: Form
    expected: str


def dicom_forms(scope: Scope) -> Iterator[DicomForm]:
    """Every form; those without a tag only for the tags that the scope asks about."""
    yield DicomForm("8 bits, explicit VR little endian", partial(_plain, bits=8), "same")
    yield DicomForm("12 bits", partial(_plain, bits=12), "same")
    yield DicomForm("16 bits", partial(_plain, bits=16), "same")
    kinds = scope.photometric_interpretations
    yield DicomForm("MONOCHROME1, inverted pixels", _monochrome1, "same" if _takes(kinds, "MONOCHROME1") else "refused")
    if "RGB" in kinds:
        yield DicomForm("RGB of three equal channels", _rgb, "same")
    yield DicomForm("inverted pixels called MONOCHROME2", _inverted, "refused")
    for uid in (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        yield DicomForm(uid.name, partial(_plain, bits=12, syntax=uid), "same")
    for uid in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        yield DicomForm(uid.name, partial(_compressed, syntax=uid, bits=12), "same")
    yield DicomForm("JPEG-LS Near-Lossless", partial(_compressed, syntax=JPEGLSNearLossless, bits=8), "close")
    yield DicomForm(JPEG2000.name, partial(_compressed, syntax=JPEG2000, bits=8), "close")
    yield DicomForm("JPEG Lossless, first-order (SV1)", partial(_framed, syntax=JPEGLosslessSV1, bits=12), "same")
    yield DicomForm("JPEG XL Lossless", partial(_framed, syntax=_JPEG_XL_LOSSLESS, bits=12), "same")
    yield DicomForm("Deflated Image Frame Compression", partial(_framed, syntax=_DEFLATED_FRAME, bits=12), "same")
    yield DicomForm(JPEGBaseline8Bit.name, partial(_framed, syntax=JPEGBaseline8Bit, bits=8), "close")
    for question, keyword in _ASKED.items():
        if getattr(scope, question):
            yield DicomForm(f"without {keyword}", partial(_without, keyword=keyword), "refused")
    if scope.age_years is not None:
        yield DicomForm("without PatientAge", partial(_without, keyword="PatientAge"), "refused")


def part10(dataset: Dataset) -> bytes:
    """The file of ``dataset`` with preamble and meta information (PS3.10 7.1)."""
    meta, buffer = dataset.file_meta, io.BytesIO()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    with quietly():
        if meta.TransferSyntaxUID.is_transfer_syntax:
            dcmwrite(buffer, dataset, enforce_file_format=True)
        else:
            # Younger than pydicom's dictionary; explicit VR little endian as all compressed ones (PS3.5 A.4)
            validate_file_meta(meta)
            meta.FileMetaInformationGroupLength, dataset.preamble = 0, bytes(128)
            dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    return buffer.getvalue()


def _header(scope: Scope) -> Dataset:
    """A header that is inside ``scope``, about nobody."""
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.Modality = scope.modalities[0]
    if scope.body_parts:
        dataset.BodyPartExamined = scope.body_parts[0]
    if scope.views:
        dataset.ViewPosition = scope.views[0]
    if scope.age_years is not None:
        dataset.PatientAge = f"{round(sum(scope.age_years) / 2):03d}Y"
    return dataset


def _plain(picture: Picture, scope: Scope, *, bits: int, syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    """``bits`` 8, 12 or 16: the 256 grey levels spread over the whole range."""
    dataset = _header(scope)
    values = _spread(picture, bits)
    little = values.dtype.newbyteorder("<")
    content = values.astype(little.newbyteorder() if syntax == ExplicitVRBigEndian else little).tobytes()
    dataset.Rows, dataset.Columns = picture.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored = values.dtype.itemsize * 8, bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    # A native element in Implicit VR is OW whatever its depth (PS3.5 A.1)
    wide = bits > 8 or syntax == ImplicitVRLittleEndian
    dataset.add_new("PixelData", "OW" if wide else "OB", content + b"\0" * (len(content) % 2))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _spread(picture: Picture, bits: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Whole multiples of the grey levels, so that a deeper form holds the very same picture."""
    if bits == 8:
        return picture
    spread: NDArray[np.uint16] = picture.astype(np.uint16) * np.uint16((2**bits - 1) // 255)
    return spread


def _takes(kinds: tuple[str, ...], kind: str) -> bool:
    return not kinds or kind in kinds


def _rgb(picture: Picture, scope: Scope) -> Dataset:
    dataset = _plain(picture, scope, bits=8)
    content = np.repeat(picture[..., None], 3, axis=2).tobytes()
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.add_new("PixelData", "OB", content + b"\0" * (len(content) % 2))
    return dataset


def _monochrome1(picture: Picture, scope: Scope) -> Dataset:
    dataset = _inverted(picture, scope)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    return dataset


def _inverted(picture: Picture, scope: Scope) -> Dataset:
    inverted: Picture = 255 - picture
    return _plain(inverted, scope, bits=8)


def _without(picture: Picture, scope: Scope, *, keyword: str) -> Dataset:
    dataset = _plain(picture, scope, bits=12)
    delattr(dataset, keyword)
    return dataset


def _compressed(picture: Picture, scope: Scope, *, syntax: UID, bits: int) -> Dataset:
    """Through pydicom's own encoders."""
    dataset = _plain(picture, scope, bits=bits)
    with quietly():
        dataset.compress(syntax, generate_instance_uid=False, **_LOSS.get(syntax, {}))
    return dataset


def _framed(picture: Picture, scope: Scope, *, syntax: UID, bits: int) -> Dataset:
    """Through encoders that pydicom does not know."""
    dataset = _plain(picture, scope, bits=bits)
    dataset.PixelData = encapsulate([_frame(_spread(picture, bits), syntax, bits)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _frame(values: NDArray[np.uint8] | NDArray[np.uint16], syntax: UID, bits: int) -> bytes:
    if syntax == JPEGBaseline8Bit:
        return cv2.imencode(".jpg", values, [cv2.IMWRITE_JPEG_QUALITY, _LOSSY_QUALITY])[1].tobytes()
    if syntax == JPEGLosslessSV1:
        return bytes(imagecodecs.ljpeg_encode(values, bitspersample=bits))
    if syntax == _JPEG_XL_LOSSLESS:
        return bytes(imagecodecs.jpegxl_encode(values, lossless=True))
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    content = deflater.compress(values.astype(values.dtype.newbyteorder("<")).tobytes()) + deflater.flush()
    return content + b"\0" * (len(content) % 2)
