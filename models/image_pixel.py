"""What the Image Pixel module says of Pixel Data (PS3.3 C.7.6.3), as plain numbers that have been checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from models.codestream import FrameLayout
from models.errors import CannotTriage
from models.reasons import Reason
from models.tolerant_reading import UNREADABLE, quietly

#: In this order, as an object has one of them (PS3.3 C.7.6.3, C.7.6.24, C.7.6.25).
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FLOAT_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_MOST_BITS = 64


@dataclass(frozen=True, slots=True)
class ImagePixel:
    """``keyword`` is the element that holds the pixels, ``vr`` its value representation. Sizes are those of one frame.

    ``photometric_interpretation`` is upper case; ``signed`` is Pixel Representation 1.
    """

    keyword: str
    vr: str
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar_configuration: int
    number_of_frames: int
    photometric_interpretation: str

    @property
    def layout(self) -> FrameLayout:
        """The part that a codec has to be told."""
        return FrameLayout(self.rows, self.columns, self.samples, self.bits_allocated, self.photometric_interpretation)

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame; colour that was subsampled has two samples for each pixel (C.7.6.3.1.2)."""
        subsampled = self.photometric_interpretation == "YBR_FULL_422"
        return self.rows * self.columns * (2 if subsampled else self.samples) * self.bits_allocated


def image_pixel_of(dataset: Dataset) -> ImagePixel:
    """Read and check the module.

    Samples per Pixel, High Bit, Planar Configuration, Pixel Representation and Number of Frames have the value that
    most images have when they are absent. ACR-NEMA, which knew grey images only, had no Photometric Interpretation.

    Raises CannotTriage: ``no_pixel_data``; ``unreadable_pixels`` when an element contradicts itself or another.
    """
    keyword = _keyword(dataset)
    if keyword is None:
        raise CannotTriage(Reason.no_pixel_data)
    allocated = _FLOAT_BITS.get(keyword) or _number(dataset, "BitsAllocated", None)
    stored = allocated if keyword in _FLOAT_BITS else _number(dataset, "BitsStored", allocated)
    samples = _number(dataset, "SamplesPerPixel", 1)
    described = ImagePixel(
        keyword=keyword,
        vr=str(dataset[keyword].VR),
        rows=_number(dataset, "Rows", None),
        columns=_number(dataset, "Columns", None),
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if keyword in _FLOAT_BITS else _number(dataset, "HighBit", stored - 1),
        signed=keyword == "PixelData" and bool(_one_of(dataset, "PixelRepresentation", 0, (0, 1))),
        planar_configuration=_one_of(dataset, "PlanarConfiguration", 0, (0, 1)) if samples > 1 else 0,
        number_of_frames=_number(dataset, "NumberOfFrames", 1) or 1,
        photometric_interpretation=_photometric_interpretation(dataset),
    )
    _check(described)
    return described


def has_pixels(dataset: Dataset) -> bool:
    """True when one of the three pixel data elements is there and not empty."""
    return _keyword(dataset) is not None


def _keyword(dataset: Dataset) -> str | None:
    try:
        with quietly():
            return next((one for one in PIXEL_KEYWORDS if one in dataset and bool(dataset[one].value)), None)
    except UNREADABLE:
        return None


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        with quietly():
            value = dataset.get(keyword)
            return value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value
    except UNREADABLE:
        return "unreadable"  # no number, and no code string of the standard


def _number(dataset: Dataset, keyword: str, absent: int | None) -> int:
    value = _value(dataset, keyword)
    if (value is None or value == "") and absent is not None:
        return absent
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise CannotTriage(Reason.unreadable_pixels, f"{keyword} is missing or no number") from None
    if number < 0:
        raise CannotTriage(Reason.unreadable_pixels, f"{keyword} is negative")
    return number


def _one_of(dataset: Dataset, keyword: str, absent: int, allowed: tuple[int, ...]) -> int:
    number = _number(dataset, keyword, absent)
    if number not in allowed:
        raise CannotTriage(Reason.unreadable_pixels, f"{keyword} has a value that the standard does not know")
    return number


def _photometric_interpretation(dataset: Dataset) -> str:
    value = _value(dataset, "PhotometricInterpretation")
    if value:
        return str(value).strip(" \0").upper()
    recognition = str(_value(dataset, "RecognitionCode") or "")
    return "MONOCHROME2" if recognition.startswith("ACR-NEMA") else ""


def _check(pixel: ImagePixel) -> None:
    if not pixel.rows or not pixel.columns:
        refused = "Rows or Columns is 0"
    elif pixel.samples not in (1, 3):
        refused = "Samples per Pixel is neither 1 nor 3"
    elif not 0 < pixel.bits_allocated <= _MOST_BITS or not 0 < pixel.bits_stored <= pixel.bits_allocated:
        refused = "Bits Stored does not fit Bits Allocated"
    elif not pixel.bits_stored - 1 <= pixel.high_bit < pixel.bits_allocated:
        refused = "High Bit does not fit Bits Stored and Bits Allocated"
    else:
        return
    raise CannotTriage(Reason.unreadable_pixels, refused)
