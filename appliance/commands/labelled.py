"""The CSV that says what labelled images show, and the images beside it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from appliance.errors import ConfigurationInvalid
from models.answers import Truth, UnknownLabel, truth_of
from models.errors import CannotTriage
from models.grey_scale import FloatImage
from models.manifest import Manifest
from models.picture_changes import Picture
from models.pictures import dataset_from_picture, is_picture
from models.pixels import PixelLimits, grey_image, open_dicom
from models.reasons import Reason


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a file in the folder of images, its label, and the patient where the CSV says so."""

    file: str
    label: str
    patient: str | None


def read_rows(labels: Path) -> list[Row]:
    """The lines of a CSV with the columns ``file,label`` and perhaps ``patient``.

    Raises:
        ConfigurationInvalid: it cannot be read as that.
    """
    try:
        with labels.open(newline="", encoding="utf-8-sig") as lines:
            rows = [Row(row["file"], row["label"], row.get("patient")) for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationInvalid(str(labels), (f"cannot be read as CSV: {error}",)) from None
    except KeyError as missing:
        raise ConfigurationInvalid(str(labels), (f"needs the columns file,label; {missing} is missing",)) from None
    if not rows or any(not row.file or not row.label for row in rows):
        raise ConfigurationInvalid(str(labels), ("every line needs a file and a label, and one line is needed",))
    return rows


def truths_of(rows: list[Row], manifest: Manifest, normal: str | None, labels: Path) -> list[Truth]:
    """What each label means for the pack. Raises ConfigurationInvalid with the first that means nothing."""
    try:
        return [truth_of(row.label, manifest, normal) for row in rows]
    except UnknownLabel as unknown:
        raise ConfigurationInvalid(str(labels), (str(unknown),)) from None


def patients_of(rows: list[Row]) -> list[str] | None:
    """Who each image is of; a line without a patient stands for itself. None when no line names one."""
    if not any(row.patient for row in rows):
        return None
    return [f"patient {row.patient}" if row.patient else f"file {row.file}" for row in rows]


def image_of(path: Path, limits: PixelLimits) -> FloatImage:
    """``(rows, columns)`` float32 of a DICOM file, a PNG or a JPEG, brighter = denser.

    Raises:
        CannotTriage: as ``grey_image`` and ``open_dicom``; ``not_dicom`` when there is no such file.
    """
    try:
        plain = is_picture(path)
    except OSError as error:
        raise CannotTriage(Reason.not_dicom, f"the file cannot be read ({error.strerror})") from None
    dataset = dataset_from_picture(path, {}, limits) if plain else open_dicom(path)
    return grey_image(dataset, limits)


def eight_bits(grey: FloatImage) -> Picture:
    """8-bit values as they are; anything else stretched from its darkest to its brightest value."""
    low, high = float(grey.min()), float(grey.max())
    if low < 0.0 or high > 255.0 or high <= 1.0:
        grey = (grey - np.float32(low)) * np.float32(255.0 / (high - low))
    picture: Picture = np.rint(grey).astype(np.uint8)
    return picture
