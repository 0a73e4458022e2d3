"""What the demonstration sends: synthetic studies, or a folder of anybody's images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from appliance.errors import ConfigurationInvalid
from models.errors import CannotTriage
from models.pictures import dataset_from_picture, is_picture
from models.pixels import open_dicom
from models.synthetic import SyntheticChest, ct_slice, hand

CHEST = {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "AP", "PatientAge": "004Y"}


@dataclass(frozen=True)
class DemoImage:
    """One instance to send: its file and the UIDs it will be asked for by."""

    path: Path
    study_instance_uid: str
    sop_instance_uid: str


#: (disease, seed) of the chests, so picked that clear, ill and uncertain ones are among them.
CHESTS: tuple[tuple[float, int], ...] = (
    (-2.65, 307),
    (0.5, 19),
    (-1.5, 8),
    (-2.5, 307),
    (0.0, 55),
    (0.5, 5),
    (-1.0, 30),
    (-2.35, 307),
    (1.0, 7),
    (-1.5, 21),
    (-2.8, 307),
    (0.5, 27),
)


def synthetic_studies(folder: Path) -> Iterator[DemoImage]:
    """Write and yield the shipped studies: chests, a CT slice and a hand, one image each."""
    chest = SyntheticChest()
    for number, (disease, seed) in enumerate(CHESTS):
        yield _write(folder, number, chest.draw(disease, seed), CHEST)
    ct = {
        "Modality": "CT",
        "BodyPartExamined": "ABDOMEN",
        "PatientAge": "051Y",
        "SOPClassUID": CTImageStorage,
    }
    yield _write(folder, len(CHESTS), ct_slice(), ct)
    yield _write(folder, len(CHESTS) + 1, hand(), CHEST)  # filed as a chest: the gate has to see that it is none


def studies_of_folder(source: Path, folder: Path) -> Iterator[DemoImage]:
    """Yield every readable DICOM file as it is, and every PNG or JPEG as a paediatric AP chest of its own study.

    Raises:
        ConfigurationInvalid: the folder is missing or holds no image.
    """
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else []
    found = 0
    for number, path in enumerate(files):
        image = _foreign(path, folder, number)
        if image is not None:
            found += 1
            yield image
    if not found:
        raise ConfigurationInvalid(str(source), ("holds no DICOM, PNG or JPEG file; give another folder",))


def _foreign(path: Path, folder: Path, number: int) -> DemoImage | None:
    try:
        if is_picture(path):
            picture = dataset_from_picture(path, CHEST)
            return _write(folder, number, picture.pixel_array, CHEST, synthetic=False)
        dataset = open_dicom(path, with_pixels=False)
    except CannotTriage:
        return None
    uids = (dataset.get("StudyInstanceUID"), dataset.get("SOPInstanceUID"))
    return DemoImage(path, str(uids[0]), str(uids[1])) if all(uids) else None


def _write(
    folder: Path, number: int, pixels: NDArray[np.uint16], header: dict[str, str], synthetic: bool = True
) -> DemoImage:
    dataset = _dataset(number, pixels, header, synthetic)
    path = folder / f"{number:04}.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return DemoImage(path, dataset.StudyInstanceUID, dataset.SOPInstanceUID)


def _dataset(number: int, pixels: NDArray[np.uint16], header: dict[str, str], synthetic: bool) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (generate_uid() for _ in range(3))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.StudyDate, dataset.StudyTime = "20260101", f"{8 + number // 60:02}{number % 60:02}00"
    dataset.PatientName = f"{'Synthetic' if synthetic else 'Demo'}^Study {number + 1:02}"
    dataset.PatientID, dataset.AccessionNumber = f"DEMO-{number + 1:04}", f"D{number + 1:04}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.ReferringPhysicianName = "", "O", ""
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = str(number + 1), 1, 1
    dataset.StudyDescription = f"Demonstration, {header['BodyPartExamined'].lower()}"
    if synthetic:
        dataset.add_new(0x0008001C, "CS", "YES")  # Synthetic Data (PS3.3 C.12.1)
        dataset.ImageComments = "Synthetic image of no patient, for demonstration"
    _add_pixels(dataset, pixels)
    return dataset


def _add_pixels(dataset: Dataset, pixels: NDArray[np.uint16]) -> None:
    stored = 12 if pixels.dtype == np.uint16 else 8
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 16 if stored > 8 else 8
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = stored, stored - 1, 0
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW" if stored > 8 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
