"""What a viewer is given: stored values of one frame as they are, and what the header says of how to show them.

Runs where ``opening`` runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_color_lut

from appliance.dicomweb.frames import NoSuchFrame, one_frame
from appliance.dicomweb.opening import Unreadable, open_file
from models.errors import CannotTriage
from models.frame_attributes import frame_attributes, numbers
from models.frames import stored_frame
from models.grey_scale import rescaled
from models.image_pixel import image_pixel_of
from models.lookup_tables import coloured, is_filled, looked_up
from models.pixels import PixelLimits
from models.tolerant_reading import DAMAGED, quietly

#: Of an object with more frames than this only the first are listed.
MOST_FRAMES: Final = 4000
_MOST_WINDOWS: Final = 16
_SPACINGS: Final = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_TYPES: Final = {"u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "f4": "float32"}


@dataclass(frozen=True)
class FramePixels:
    """``data`` little endian, row by row; colours as red, green, blue of 8 bits each. ``kind`` is the type of a value.

    ``smallest`` and ``largest`` are those of this frame.
    """

    data: bytes
    kind: str
    rows: int
    columns: int
    samples: int
    smallest: float
    largest: float


def viewed_frame(
    path: Path, number: int, voi_lut: int | None, limits: PixelLimits
) -> FramePixels | NoSuchFrame | Unreadable:
    """Frame ``number``, from 1, at its full depth.

    A Modality LUT is applied, as no slope says what it does; with ``voi_lut`` also the VOI LUT of that index.
    """
    found = one_frame(path, number, limits)
    if isinstance(found, NoSuchFrame):
        return found
    index = 0
    if isinstance(found, Unreadable):  # floating point pixels, or an odd form that only the whole file shows
        found, index = open_file(path, limits.max_decoded_bytes, with_pixels=True), number - 1
    if isinstance(found, Unreadable):
        return found
    try:
        with quietly():
            attributes = frame_attributes(found, number - 1)
            return _packed(_values(stored_frame(found, index, limits), found, attributes, voi_lut))
    except CannotTriage as error:
        return Unreadable(error.reason.value)
    except DAMAGED as error:
        return Unreadable(f"the frame cannot be shown ({type(error).__name__})")


def _values(stored: NDArray[Any], dataset: Dataset, attributes: Dataset, voi_lut: int | None) -> NDArray[Any]:
    if stored.ndim == 3:
        return _eight_bit_colour(stored)
    if image_pixel_of(dataset).photometric_interpretation == "PALETTE COLOR":
        return _eight_bit_colour(_through_palette(stored, attributes))
    if _table(attributes, "ModalityLUTSequence") is not None:
        stored = rescaled(stored, attributes)
    if voi_lut is not None:
        table = attributes.VOILUTSequence[voi_lut]
        little = attributes.original_encoding[1] is not False
        return looked_up(_measured(stored, attributes), table, little)
    return stored


def _measured(stored: NDArray[Any], attributes: Dataset) -> NDArray[Any]:
    """What a VOI LUT is looked up with: values after slope and intercept."""
    return stored if _table(attributes, "ModalityLUTSequence") is not None else rescaled(stored, attributes)


def _through_palette(stored: NDArray[Any], attributes: Dataset) -> NDArray[Any]:
    if "RedPaletteColorLookupTableData" in attributes:
        return coloured(stored, attributes, attributes.original_encoding[1] is not False)
    return np.asarray(apply_color_lut(stored, attributes)[..., :3])


def _eight_bit_colour(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    largest = int(values.max(initial=0))
    return np.asarray(values if largest <= 255 else values // 257 if largest > 4095 else values // 16, np.uint8)


def _packed(values: NDArray[Any]) -> FramePixels:
    kind = values.dtype.kind + str(values.dtype.itemsize)
    if kind not in _TYPES:
        low, high = int(values.min(initial=0)), int(values.max(initial=0))
        small = values.dtype.kind in "iu" and low >= -(1 << 15) and high < 1 << 16 and (low >= 0 or high < 1 << 15)
        values = values.astype((np.int16 if low < 0 else np.uint16) if small else np.float32)
        kind = values.dtype.kind + str(values.dtype.itemsize)
    rows, columns = values.shape[:2]
    smallest, largest = float(values.min()), float(values.max())
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return FramePixels(data, _TYPES[kind], rows, columns, 3 if values.ndim == 3 else 1, smallest, largest)


def described(paths: list[tuple[Path, str]], most_bytes: int) -> list[list[dict[str, Any]] | Unreadable]:
    """Of each file what a viewer has to know of every frame; empty for what has no pixels. The other value is its UID.

    Nothing in it names a patient.
    """
    found: list[list[dict[str, Any]] | Unreadable] = []
    for path, uid in paths:
        try:
            dataset = open_file(path, most_bytes, with_pixels=False)
        except OSError as error:
            found.append(Unreadable(f"the disk did not give it ({error.strerror})"))
            continue
        if isinstance(dataset, Unreadable):
            found.append(dataset)
            continue
        try:
            with quietly():
                frames = min(int(dataset.get("NumberOfFrames") or 1), MOST_FRAMES) if dataset.get("Rows") else 0
                found.append([{"sop_instance_uid": uid, "frame": n + 1, **_frame(dataset, n)} for n in range(frames)])
        except DAMAGED as error:
            found.append(Unreadable(f"the header cannot be read ({type(error).__name__})"))
    return found


def _frame(dataset: Dataset, index: int) -> dict[str, Any]:
    attributes = frame_attributes(dataset, index)
    table = _table(attributes, "ModalityLUTSequence") is not None
    slope, intercept = _number(attributes, "RescaleSlope"), _number(attributes, "RescaleIntercept")
    if table or slope is None or intercept is None:
        slope, intercept = 1.0, 0.0
    spacing, named = _spacing(attributes)
    return {
        "rows": int(dataset.Rows),
        "columns": int(dataset.Columns),
        "bits_stored": int(dataset.get("BitsStored") or 0),
        "signed": bool(dataset.get("PixelRepresentation") or 0),
        "photometric_interpretation": str(dataset.get("PhotometricInterpretation") or "").strip().upper(),
        "rescale": [slope, intercept],
        "rescale_type": _text(attributes, "RescaleType"),
        "windows": _windows(attributes),
        "voi_lut_function": _text(attributes, "VOILUTFunction") or "LINEAR",
        "voi_luts": _voi_luts(attributes),
        "spacing_mm": spacing,
        "spacing_named": named,
        "aspect": _aspect(attributes),
        "instance_number": _number(dataset, "InstanceNumber"),
        "modality": _text(dataset, "Modality"),
        "series_number": _number(dataset, "SeriesNumber"),
        "series_description": _text(dataset, "SeriesDescription"),
        "position": _list(attributes, "ImagePositionPatient", 3),
        "orientation": _list(attributes, "ImageOrientationPatient", 6),
    }


def _windows(attributes: Dataset) -> list[dict[str, Any]]:
    """The presets of the header: Window Center and Width with their explanations (PS3.3 C.11.2.1.2)."""
    centers, widths = _many(attributes, "WindowCenter"), _many(attributes, "WindowWidth")
    names = [str(one) for one in _values_of(attributes, "WindowCenterWidthExplanation")]
    made = []
    for number, (center, width) in enumerate(zip(centers, widths, strict=False)):
        if width > 0:
            made.append({"name": names[number] if number < len(names) else "", "center": center, "width": width})
    return made[:_MOST_WINDOWS]


def _voi_luts(attributes: Dataset) -> list[dict[str, Any]]:
    items = attributes.get("VOILUTSequence") or []
    return [
        {"index": number, "name": str(item.get("LUTExplanation") or "")}
        for number, item in enumerate(items[:_MOST_WINDOWS])
        if is_filled(item)
    ]


def _spacing(attributes: Dataset) -> tuple[list[float] | None, str]:
    """Row and column spacing in mm, and the keyword it stands under (PS3.3 10.7.1, C.8.7.1.1.1)."""
    for keyword in _SPACINGS:
        sides = numbers(attributes, keyword, 2)
        if sides is not None and min(sides) > 0:
            return list(sides), keyword
    return None, ""


def _aspect(attributes: Dataset) -> list[float]:
    sides = numbers(attributes, "PixelAspectRatio", 2)
    return list(sides) if sides is not None and min(sides) > 0 else [1.0, 1.0]


def _table(attributes: Dataset, keyword: str) -> Dataset | None:
    sequence = attributes.get(keyword)
    return sequence[0] if sequence and is_filled(sequence[0]) else None


def _list(attributes: Dataset, keyword: str, count: int) -> list[float] | None:
    found = numbers(attributes, keyword, count)
    return list(found) if found is not None else None


def _values_of(attributes: Dataset, keyword: str) -> list[Any]:
    try:
        value = attributes.get(keyword)
    except DAMAGED:
        return []
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (list, tuple, MultiValue)) else [value]


def _many(attributes: Dataset, keyword: str) -> list[float]:
    made = []
    for value in _values_of(attributes, keyword):
        try:
            made.append(float(value))
        except (TypeError, ValueError):
            return []
    return made if all(np.isfinite(made)) else []


def _number(attributes: Dataset, keyword: str) -> float | None:
    return next(iter(_many(attributes, keyword)), None)


def _text(attributes: Dataset, keyword: str) -> str:
    return str(next(iter(_values_of(attributes, keyword)), ""))[:64].strip()
