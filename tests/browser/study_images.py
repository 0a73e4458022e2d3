"""Images with which the study page is tried: a series in disorder, a film of 12 bits, a name with markup."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, UltrasoundMultiFrameImageStorage, generate_uid

from tests.dicom_factory import chest_radiograph

#: Of the film: what its header says, mm.
DETECTOR_MM = (0.2, 0.1)
SLICES = 5


def ct_series(folder: Path) -> list[Path]:
    """Slices 2 mm apart whose Instance Numbers run against their places; slice n is n × 100 all over, less 1024."""
    study, series = generate_uid(), generate_uid()
    paths = []
    for number in range(SLICES):
        stored = np.full((64, 64), number * 100, np.uint16)
        stored[:8, :8] = 4095
        slice_ = _image(stored, "MONOCHROME2", study, series)
        slice_.Modality, slice_.SOPClassUID = "CT", CTImageStorage
        slice_.file_meta.MediaStorageSOPClassUID = CTImageStorage
        slice_.PatientName = "<b onclick>Bold</b>^Markup"
        slice_.InstanceNumber = (3 * number) % SLICES + 1
        slice_.ImagePositionPatient, slice_.ImageOrientationPatient = [0, 0, 2.0 * number], [1, 0, 0, 0, 1, 0]
        slice_.PixelSpacing, slice_.SliceThickness = [0.5, 0.5], 2
        slice_.RescaleSlope, slice_.RescaleIntercept = 1, -1024
        slice_.WindowCenter, slice_.WindowWidth = [-800, 40], [600, 400]
        slice_.WindowCenterWidthExplanation = ["WIDE", "SOFT"]
        paths.append(_written(slice_, folder / f"slice{number}.dcm"))
    return paths


def film(folder: Path) -> Path:
    """A radiograph of 12 bits, MONOCHROME1, whose pixels are higher than wide: 0 to 4095 from left to right."""
    stored = np.tile(np.linspace(0, 4095, 200).astype(np.uint16), (100, 1))
    image = _image(stored, "MONOCHROME1", generate_uid(), generate_uid())
    image.ImagerPixelSpacing = list(DETECTOR_MM)
    return _written(image, folder / "film.dcm")


def colour_film(folder: Path) -> Path:
    """Three frames in RGB: red, green, blue."""
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    for number in range(3):
        frames[number, :, :, number] = 200
    image = _image(np.zeros((32, 32), np.uint16), "RGB", generate_uid(), generate_uid())
    image.Modality, image.SOPClassUID = "US", UltrasoundMultiFrameImageStorage
    image.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    image.SamplesPerPixel, image.PlanarConfiguration, image.NumberOfFrames = 3, 0, 3
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = frames.tobytes()
    image["PixelData"].VR = "OB"
    return _written(image, folder / "colour.dcm")


def _image(stored: np.ndarray[tuple[int, int], np.dtype[np.uint16]], kind: str, study: str, series: str) -> Dataset:
    image = chest_radiograph(pixels=stored)
    image.PhotometricInterpretation = kind
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = study, series, generate_uid()
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    for keyword in ("WindowCenter", "WindowWidth", "PixelSpacing", "ImagerPixelSpacing"):
        if keyword in image:
            delattr(image, keyword)
    return image


def _written(image: Dataset, path: Path) -> Path:
    dcmwrite(path, image, enforce_file_format=True)
    return path
