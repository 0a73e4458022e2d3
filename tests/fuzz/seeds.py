"""Good files to be spoiled: one small picture in every form that is read, and objects that are no pictures."""

from __future__ import annotations

from functools import cache

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGExtended12Bit, JPEGLSLossless, RLELossless

from models.dicom_forms import dicom_forms, part10
from models.scope import Scope
from tests.dicom_factory import as_bytes, chest_pixels, chest_radiograph, compressed, uid

_SMALL = chest_pixels(48, 40)


@cache
def seeds() -> tuple[bytes, ...]:
    """The same Part 10 files in the same order each time."""
    picture = (_SMALL >> 4).astype(np.uint8)
    scope = Scope(modalities=("DX",), body_parts=("CHEST",), photometric_interpretations=("MONOCHROME2", "RGB"))
    forms = [part10(_named(form.make(picture, scope), form.name)) for form in dicom_forms(scope)]
    return (*forms, *(as_bytes(dataset) for dataset in _more()))


def _named(dataset: Dataset, name: str) -> Dataset:
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid("study"), uid("series")
    dataset.SOPInstanceUID = uid(name)
    return dataset


def _more() -> list[Dataset]:
    many = [compressed(_enhanced(), syntax) for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless)]
    return [_enhanced(), *many, _twelve_bits(), _palette(), _tables(), _colour_by_plane(), _document()]


def _enhanced() -> Dataset:
    dataset = chest_radiograph(pixels=_SMALL, NumberOfFrames=3)
    dataset.PixelData = dataset.PixelData * 3
    rescale, window = Dataset(), Dataset()
    rescale.RescaleIntercept, rescale.RescaleSlope, rescale.RescaleType = -1024, 1, "HU"
    window.WindowCenter, window.WindowWidth = 1000, 400
    shared, each = Dataset(), Dataset()
    shared.PixelValueTransformationSequence = Sequence([rescale])
    each.FrameVOILUTSequence = Sequence([window])
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence([each] * 3)
    return dataset


def _twelve_bits() -> Dataset:
    dataset = chest_radiograph(pixels=_SMALL)
    frame = bytes(imagecodecs.jpeg8_encode(_SMALL, level=90, bitspersample=12))
    dataset.add_new("PixelData", "OB", encapsulate([frame]))
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    return dataset


def _palette() -> Dataset:
    dataset = chest_radiograph(pixels=(_SMALL >> 4).astype(np.uint8), bits=8)
    dataset.PhotometricInterpretation = "PALETTE COLOR"
    table = np.linspace(0, 65535, 256).astype("<u2").tobytes()
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
    return dataset


def _tables() -> Dataset:
    """A Modality LUT and a VOI LUT, signed pixels, padding, pixels that are not square."""
    dataset = chest_radiograph(pixels=_SMALL.astype(np.int16) - 2048, PixelSpacing=[0.2, 0.1])
    dataset.PixelPaddingValue = -2048
    for keyword, first in (("ModalityLUTSequence", -2048), ("VOILUTSequence", 0)):
        table = Dataset()
        table.add_new("LUTDescriptor", "SS", [4096, first, 16])
        table.add_new("LUTData", "US", list(range(0, 65536, 16)))
        setattr(dataset, keyword, Sequence([table]))
    return dataset


def _colour_by_plane() -> Dataset:
    colours = np.stack([_SMALL >> 4, _SMALL >> 5, _SMALL >> 6], axis=-1).astype(np.uint8)
    dataset = chest_radiograph(pixels=colours, bits=8, PlanarConfiguration=1, PhotometricInterpretation="YBR_FULL")
    dataset.PixelData = colours.transpose(2, 0, 1).tobytes()
    return dataset


def _document() -> Dataset:
    """An object with nested private sequences instead of pixels."""
    dataset = chest_radiograph(pixels=_SMALL, PixelData=None)
    inner = dataset
    for _ in range(12):
        item = Dataset()
        item.add_new(0x00090010, "LO", "SOMEBODY")
        item.add_new(0x00091001, "OB", b"MZ\x90\x00" * 8)
        inner.add_new(0x00090010, "LO", "SOMEBODY")
        inner.add_new(0x00091002, "SQ", Sequence([item]))
        inner = item
    return dataset
