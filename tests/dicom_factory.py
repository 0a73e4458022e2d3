"""DICOM data sets made in the test: a plausible chest radiograph, in any transfer syntax, without a patient.

Every value follows from the arguments, so the same call gives the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

_SOP_CLASSES = {"DX": DigitalXRayImageStorageForPresentation, "CR": ComputedRadiographyImageStorage}


def read_back(path: Path) -> Dataset:
    """The DICOM file at a path that may be one of a sealed spool."""
    return dcmread(BytesIO(path.read_bytes()))


def uid(seed: str) -> str:
    """A valid ``2.25.`` UID that follows from ``seed`` alone (PS3.5 B.2)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], 'big')}"


def chest_pixels(rows: int = 512, columns: int = 512, bits: int = 12, seed: int = 0) -> NDArray[np.uint16]:
    """A ``(rows, columns)`` uint16 picture with two dark lungs on a bright body, brighter = denser."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    body = np.clip(1.2 - (x**2 + 0.6 * y**2), 0.0, 1.0)
    lungs = sum(np.exp(-(((x - side) / 0.22) ** 2 + (y / 0.5) ** 2)) for side in (-0.4, 0.4))
    shade = np.clip(0.15 + 0.7 * body - 0.45 * lungs + rng.normal(0.0, 0.01, (rows, columns)), 0.0, 1.0)
    picture: NDArray[np.uint16] = (shade * (2**bits - 1)).astype(np.uint16)
    return picture


def set_pixels(dataset: Dataset, pixels: NDArray[Any], bits_stored: int) -> None:
    """Put ``(rows, columns)`` grey or ``(rows, columns, 3)`` RGB integers natively into ``dataset``."""
    little = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<")))
    coloured = pixels.ndim == 3
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if coloured else 1
    dataset.PhotometricInterpretation = "RGB" if coloured else "MONOCHROME2"
    if coloured:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    dataset.add_new("PixelData", "OW" if pixels.dtype.itemsize > 1 else "OB", _even(little.tobytes()))


def chest_radiograph(
    *,
    seed: str = "0",
    modality: str = "DX",
    pixels: NDArray[Any] | None = None,
    bits: int = 12,
    **overrides: Any,
) -> Dataset:
    """A chest AP of a four-year-old: 512 x 512, 12 bit, MONOCHROME2, Explicit VR Little Endian.

    ``overrides`` are DICOM keywords; ``None`` removes the element. ``seed`` changes the study, series and
    instance UIDs; for two images of one study pass ``StudyInstanceUID=uid("…")`` as well.
    """
    dataset = Dataset()
    _identity(dataset, seed, modality)
    _technique(dataset, modality)
    default = chest_pixels(bits=bits, seed=int(uid(seed)[5:]) % 2**32)
    set_pixels(dataset, default if pixels is None else pixels, bits)
    for keyword, value in overrides.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    dataset.file_meta = _file_meta(dataset)
    return dataset


def compressed(dataset: Dataset, transfer_syntax_uid: str, **options: Any) -> Dataset:
    """The same data set with its pixels in another transfer syntax, instance UID kept."""
    options.setdefault("generate_instance_uid", False)
    dataset.compress(transfer_syntax_uid, **options)
    return dataset


def as_bytes(dataset: Dataset) -> bytes:
    """The Part 10 file of ``dataset`` as bytes."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def as_file(dataset: Dataset, path: Path) -> Path:
    """Write ``dataset`` as a Part 10 file at ``path`` and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_bytes(dataset))
    return path


def _identity(dataset: Dataset, seed: str, modality: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = _SOP_CLASSES[modality]
    dataset.SOPInstanceUID = uid(f"instance {seed}")
    dataset.StudyInstanceUID = uid(f"study {seed}")
    dataset.SeriesInstanceUID = uid(f"series {seed}")
    dataset.StudyDate, dataset.StudyTime = "20260314", "101500"
    dataset.ContentDate, dataset.ContentTime = "20260314", "101502"
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20260314", "101501"
    dataset.AccessionNumber = f"A{seed}"
    dataset.ReferringPhysicianName = "Referrer^Test"
    dataset.PatientName, dataset.PatientID = f"Phantom^{seed}", f"P-{seed}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "20211201", "F", "004Y"
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, 1
    dataset.Modality, dataset.Manufacturer = modality, "Scanside test"


def _technique(dataset: Dataset, modality: str) -> None:
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", "AP"
    dataset.PatientOrientation = ["L", "F"]
    dataset.BurnedInAnnotation = "NO"
    dataset.PixelSpacing = dataset.ImagerPixelSpacing = [0.4, 0.4]
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    if modality == "DX":
        dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
        dataset.ImageLaterality = "U"
        dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", -1
        dataset.PresentationIntentType, dataset.PresentationLUTShape = "FOR PRESENTATION", "IDENTITY"
        dataset.LossyImageCompression = "00"
        dataset.KVP, dataset.DetectorType = 60, "DIRECT"


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID")
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
