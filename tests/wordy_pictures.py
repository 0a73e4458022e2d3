"""Pictures with words burned in: several fonts, sizes, contrasts, photometric interpretations and transfer syntaxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless, SecondaryCaptureImageStorage

from tests.dicom_factory import chest_pixels, chest_radiograph, compressed, uid

FONTS: Final = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10", "cmss10")
HEIGHTS_PX: Final = (12, 16, 22, 32)
CONTRASTS: Final = (60, 120, 200)
_FOLDER = Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf"
_SIZE: Final = (384, 512)

Grey = NDArray[np.uint8]
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Word:
    """What stands where: left, top, right, bottom in pixels."""

    text: str
    box: Box


def names(seed: int) -> tuple[str, str, str]:
    """What scanners burn in: a name, a number, a date with a place."""
    rng = np.random.default_rng(seed)
    family = rng.choice(["Zymandor", "Quillaby", "Fenwicko", "Oberwitz", "Trevannion", "Kestrelheim"])
    given = rng.choice(["ANNA", "Bertold", "Carlotta", "Dorothea"])
    return f"{family} {given}", f"ID {rng.integers(100000, 999999)}", f"19{rng.integers(40, 99)}0317 Nurblick"


def background(seed: int) -> Grey:
    """A chest, a ramp, a speckled disk or black, ``(384, 512)``."""
    rng = np.random.default_rng(seed)
    rows, columns = _SIZE
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    kinds: list[Callable[[], NDArray[Any]]] = [
        lambda: chest_pixels(rows, columns, bits=8, seed=seed),
        lambda: 40 + 120 * (x + 1) / 2,
        lambda: np.where(x**2 + y**2 < 0.7, 90 + rng.normal(0, 18, _SIZE), 4),
        lambda: np.zeros(_SIZE),
    ]
    return np.asarray(np.clip(kinds[seed % len(kinds)](), 0, 255), dtype=np.uint8)


def written(seed: int) -> tuple[Grey, Grey, list[Word]]:
    """The picture without and with words, in a font, a size and a contrast that follow from ``seed``."""
    plain = background(seed)
    picture = Image.fromarray(plain.copy())
    draw = ImageDraw.Draw(picture)
    height = HEIGHTS_PX[seed % len(HEIGHTS_PX)]
    font = ImageFont.truetype(str(_FOLDER / f"{FONTS[seed % len(FONTS)]}.ttf"), height)
    words = []
    for line, text in enumerate(names(seed)):
        place = (12 + 40 * (seed % 3), 10 + line * (height + 10) if seed % 2 else 380 - (3 - line) * (height + 14))
        left, top, right, bottom = (round(side) for side in draw.textbbox(place, text, font=font))
        around = int(plain[max(top, 0) : bottom, left:right].mean())
        contrast = CONTRASTS[(seed // 4) % len(CONTRASTS)]
        draw.text(
            place, text, fill=around + contrast if around + contrast < 256 else max(around - contrast, 0), font=font
        )
        words.append(Word(text, (left, top, right, bottom)))
    return plain, np.asarray(picture), words


def _mono(picture: Grey, plain: Grey) -> Dataset:
    return capture(picture)


def _inverse(picture: Grey, plain: Grey) -> Dataset:
    dataset = capture(255 - picture)
    dataset.PhotometricInterpretation = "MONOCHROME1"
    return dataset


def _twelve_bits(picture: Grey, plain: Grey) -> Dataset:
    return capture(picture.astype(np.uint16) * 16, 12)


def _signed(picture: Grey, plain: Grey) -> Dataset:
    return capture(picture.astype(np.int16) * 8 - 1000, 16)


def _rgb(picture: Grey, plain: Grey) -> Dataset:
    """Words in colour on grey."""
    coloured = np.stack([plain, plain, plain], axis=2)
    coloured[picture != plain] = np.stack([picture, picture // 2, 255 - picture], axis=2)[picture != plain]
    return capture(coloured)


def _planes(picture: Grey, plain: Grey) -> Dataset:
    dataset = _rgb(picture, plain)
    dataset.PixelData = np.moveaxis(_as_array(dataset, 3), 2, 0).tobytes()
    dataset.PlanarConfiguration = 1
    return dataset


def _ybr(picture: Grey, plain: Grey) -> Dataset:
    dataset = capture(np.stack([picture, np.full_like(picture, 120), np.full_like(picture, 135)], axis=2))
    dataset.PhotometricInterpretation = "YBR_FULL"
    return dataset


def _ybr_422(picture: Grey, plain: Grey) -> Dataset:
    dataset = _ybr(picture, plain)
    pairs = np.full((picture.shape[0], picture.shape[1] // 2, 4), 128, np.uint8)
    pairs[..., 0], pairs[..., 1] = picture[:, 0::2], picture[:, 1::2]
    dataset.PhotometricInterpretation, dataset.PixelData = "YBR_FULL_422", pairs.tobytes()
    return dataset


def _palette(picture: Grey, plain: Grey) -> Dataset:
    dataset = capture(picture)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    for number, colour in enumerate(("Red", "Green", "Blue")):
        values = (np.arange(256) * (257 - 20 * number)).astype("<u2")
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", values.tobytes())
    return dataset


def _frames(picture: Grey, plain: Grey) -> Dataset:
    """Words in the last frame only."""
    dataset = capture(picture)
    dataset.NumberOfFrames = 3
    dataset.PixelData = plain.tobytes() * 2 + picture.tobytes()
    return dataset


def _jpeg_ls(picture: Grey, plain: Grey) -> Dataset:
    return compressed(_twelve_bits(picture, plain), JPEGLSLossless)


def _jpeg_2000(picture: Grey, plain: Grey) -> Dataset:
    return compressed(_rgb(picture, plain), JPEG2000Lossless)


def _rle(picture: Grey, plain: Grey) -> Dataset:
    return compressed(_mono(picture, plain), RLELossless)


#: Every way the same picture may be stored.
FORMS: Final[dict[str, Callable[[Grey, Grey], Dataset]]] = {
    "MONOCHROME2": _mono,
    "MONOCHROME1": _inverse,
    "12 of 16 bits": _twelve_bits,
    "16 bits, signed": _signed,
    "RGB": _rgb,
    "RGB by planes": _planes,
    "YBR_FULL": _ybr,
    "YBR_FULL_422": _ybr_422,
    "PALETTE COLOR": _palette,
    "multi-frame": _frames,
    "JPEG-LS": _jpeg_ls,
    "JPEG 2000": _jpeg_2000,
    "RLE": _rle,
}


def wordy(count: int) -> Iterator[tuple[str, Dataset, list[Word]]]:
    """``count`` images in all forms by turns, with the words that are in each."""
    for seed in range(count):
        plain, picture, words = written(seed)
        form = list(FORMS)[seed % len(FORMS)]
        yield form, FORMS[form](picture, plain), words


def capture(pixels: NDArray[Any], bits: int = 8) -> Dataset:
    """A secondary capture of these pixels."""
    seed = str(int(pixels.astype(np.int64).sum()))
    dataset = chest_radiograph(seed=seed, pixels=pixels, bits=bits, ConversionType="WSD", BurnedInAnnotation=None)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(SecondaryCaptureImageStorage)
    dataset.Modality, dataset.ImageType = "OT", ["DERIVED", "SECONDARY"]
    dataset.StudyInstanceUID = uid(f"study {seed}")
    return dataset


def _as_array(dataset: Dataset, samples: int) -> NDArray[np.uint8]:
    return np.frombuffer(dataset.PixelData, np.uint8).reshape(dataset.Rows, dataset.Columns, samples)
