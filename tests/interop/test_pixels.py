"""The same pixels as a second decoder: of files made here in every layout, and of a folder of real ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from models.errors import CannotTriage
from models.frames import checked, stored_frames
from models.pixels import grey_image, open_dicom
from models.reasons import Reason
from tests.dicom_factory import as_file, chest_pixels, chest_radiograph, compressed
from tests.interop.peers import succeed
from tests.interop.second_decoder import decoded

pytestmark = pytest.mark.interop
GREY = chest_pixels(64, 96)
COLOUR = np.stack([GREY >> 4, GREY >> 5, 255 - (GREY >> 4)], axis=-1).astype(np.uint8)
PICTURES: dict[str, NDArray[Any]] = {
    "grey": GREY,
    "signed": GREY.astype(np.int16) - 2048,
    "bytes": (GREY >> 4).astype(np.uint8),
}

#: Of the real files: DCMTK needs to be told that a JFIF marker names the colours whatever the header says.
_OPTIONS = {"fodicom__GH195.dcm": ("+cl",)}
#: The same object in a syntax that the peers read; they do not read this one, or not as it was meant.
_TWINS = {
    "pydicom__rtdose_expb.dcm": "pydicom__rtdose.dcm",
    "pydicom__rtdose_expb_1frame.dcm": "pydicom__rtdose_1frame.dcm",
    "pydicom-data__liver_deflate.dcm": "pydicom-data__liver_j2k.dcm",
    "pydicom-data__liver_nonbyte_aligned_deflate.dcm": "pydicom-data__liver_nonbyte_aligned_j2k.dcm",
    "pydicom-data__liver_nonbyte_aligned_rle.dcm": "pydicom-data__liver_nonbyte_aligned_j2k.dcm",
    "pydicom-data__liver_rle.dcm": "pydicom-data__liver_j2k.dcm",
}
#: Only we read these; what there is to compare with stands in docs/reference/conformance-statement.md.
_OURS_ALONE = {"fodicom__FreezePattern.dcm", "fodicom__GH364.dcm"}
_LOSSY = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 52, 53, 54, 55, 56, 91, 203)}
#: OpenJPH reads these, which is not what reads them here.
_OPEN_JPH = {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203"}
#: Only a peer reads these, and we say why not.
_THEIRS_ALONE = {
    "fodicom__GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm": Reason.not_dicom,
    "fodicom__multiframe.dcm": Reason.unreadable_pixels,
    "pydicom__badVR.dcm": Reason.unreadable_pixels,
}
#: Nobody reads these.
_NOBODYS = {
    "fodicom__genFile.dcm": Reason.unreadable_pixels,
    "pydicom__JPEG2000-embedded-sequence-delimiter.dcm": Reason.unreadable_pixels,
    "pydicom__empty_charset_LEI.dcm": Reason.not_dicom,
    "pydicom__meta_missing_tsyntax.dcm": Reason.unreadable_pixels,
    "pydicom__nested_priv_SQ.dcm": Reason.unreadable_pixels,
    "pydicom__no_meta.dcm": Reason.not_dicom,
    "pylibjpeg-data__966.dcm": Reason.unreadable_pixels,
}


def _ours(path: Path) -> NDArray[Any]:
    return np.stack(list(stored_frames(open_dicom(path))))


@pytest.mark.parametrize("kind", [*PICTURES])
@pytest.mark.parametrize(
    "syntax", [None, ExplicitVRBigEndian, RLELossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless]
)
def test_grey_in_every_syntax(tmp_path: Path, kind: str, syntax: UID | None) -> None:
    """Unsigned, signed and 8 bits, bit by bit."""
    values = PICTURES[kind]
    bits = 8 if values.dtype == np.uint8 else 12
    dataset = chest_radiograph(pixels=values, bits=bits)
    if syntax == ExplicitVRBigEndian:
        dataset["PixelData"].value = values.astype(values.dtype.newbyteorder(">")).tobytes()
        dataset.set_original_encoding(False, False)
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax is not None:
        options = {"jls_error": 2} if syntax == JPEGLSNearLossless else {}
        dataset = compressed(dataset, syntax, **options)
    path = as_file(dataset, tmp_path / "a.dcm")
    theirs = decoded(path, tmp_path, str(dataset.file_meta.TransferSyntaxUID))
    assert theirs is not None
    assert np.array_equal(_ours(path), theirs)


@pytest.mark.parametrize("precision", [8, 12])
@pytest.mark.parametrize("syntax", [JPEGExtended12Bit, JPEGLosslessSV1])
def test_jpeg(tmp_path: Path, precision: int, syntax: UID) -> None:
    """Extended with 8 and 12 bits, which most decoders lack, and lossless."""
    values = (GREY >> 4).astype(np.uint8) if precision == 8 else GREY
    encode: Callable[..., Any] = imagecodecs.ljpeg_encode if syntax == JPEGLosslessSV1 else imagecodecs.jpeg8_encode
    own = {} if syntax == JPEGLosslessSV1 else {"level": 90}
    path = _encapsulated(tmp_path, bytes(encode(values, bitspersample=precision, **own)), syntax, values, precision)
    theirs = decoded(path, tmp_path, syntax)
    assert theirs is not None
    assert np.abs(_ours(path).astype(int) - theirs).max() <= (0 if syntax == JPEGLosslessSV1 else 1)


def _encapsulated(folder: Path, frame: bytes, syntax: UID, values: NDArray[Any], bits: int) -> Path:
    dataset = chest_radiograph(pixels=values, bits=bits)
    dataset.add_new("PixelData", "OB", encapsulate([frame]))
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return as_file(dataset, folder / "a.dcm")


@pytest.mark.parametrize(
    ("syntax", "planar"), [(None, 0), (None, 1), (RLELossless, 0), (JPEGLSLossless, 0), (JPEG2000Lossless, 0)]
)
def test_colour(tmp_path: Path, syntax: UID | None, planar: int) -> None:
    """RGB, by pixel and by plane."""
    dataset = chest_radiograph(pixels=COLOUR, bits=8, PlanarConfiguration=planar)
    dataset.PixelData = (COLOUR.transpose(2, 0, 1) if planar else COLOUR).tobytes()
    path = as_file(compressed(dataset, syntax) if syntax else dataset, tmp_path / "a.dcm")
    theirs = decoded(path, tmp_path, str(dataset.file_meta.TransferSyntaxUID))
    assert theirs is not None
    assert np.array_equal(_ours(path), theirs)
    assert np.array_equal(theirs[0], COLOUR)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 2000, "WindowWidth": 3000},
        {"HighBit": 15},
        {"PixelRepresentation": 1},
        {"VOILUTFunction": "SIGMOID"},
    ],
    ids=["window", "MONOCHROME1", "rescale", "High Bit", "signed", "sigmoid"],
)
def test_what_a_person_would_see(tmp_path: Path, elements: dict[str, Any]) -> None:
    """Rescale, window and polarity as DCMTK's dcm2pnm shows them, within one of 255 grey levels."""
    dataset = chest_radiograph(pixels=GREY, WindowCenter=1500, WindowWidth=2000)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    if "HighBit" in elements:
        dataset.PixelData = (GREY << 4).astype("<u2").tobytes()
    _same_picture(tmp_path, dataset, "+Wi", "1")


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_tables(tmp_path: Path, bits: int) -> None:
    """A Modality LUT and a VOI LUT that are no straight lines, with entries of any size."""
    dataset = chest_radiograph(
        pixels=GREY, WindowCenter=None, WindowWidth=None, ModalityLUTSequence=[], VOILUTSequence=[]
    )
    tables = (dataset.ModalityLUTSequence, 4096, 0), (dataset.VOILUTSequence, 2**bits - 5, 3)
    for sequence, count, first in tables:
        curve = (np.linspace(0, 1, count) ** 2 * (2**bits - 1)).astype(np.uint16)
        table = Dataset()
        table.add_new("LUTDescriptor", "US", [count, first, bits])
        table.add_new("LUTData", "OW", curve.astype("<u2").tobytes())
        table.ModalityLUTType = "US"
        sequence.append(table)
    _same_picture(tmp_path, dataset, "+Wl", "1")


def test_a_palette(tmp_path: Path) -> None:
    """Indices become colours, and these the luminance of ITU-R BT.601."""
    dataset = chest_radiograph(pixels=PICTURES["bytes"], bits=8, PhotometricInterpretation="PALETTE COLOR")
    for colour, table in zip(
        ("Red", "Green", "Blue"), np.random.default_rng(3).integers(0, 256, (3, 256)), strict=True
    ):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", (table * 257).astype("<u2").tobytes())
    path = as_file(dataset, tmp_path / "a.dcm")
    succeed("dcm2pnm", path, tmp_path / "a.ppm")
    shown = _picture(tmp_path / "a.ppm", cv2.IMREAD_COLOR)
    luminance = shown @ np.array([0.114, 0.587, 0.299])
    assert np.abs(grey_image(open_dicom(path)) / 257 - luminance).max() <= 1.0


def _same_picture(folder: Path, dataset: Dataset, *options: str) -> None:
    path = as_file(dataset, folder / "a.dcm")
    succeed("dcm2pnm", *options, path, folder / "a.pgm")
    theirs = _picture(folder / "a.pgm", cv2.IMREAD_GRAYSCALE)
    grey = grey_image(open_dicom(path))
    low, high = grey.min(), grey.max()
    ours = (grey - low) / (high - low) * (theirs.max() - theirs.min()) + theirs.min()
    assert np.abs(ours - theirs).max() <= 1.5


def _picture(path: Path, kind: int) -> NDArray[np.float64]:
    shown = cv2.imread(str(path), kind)
    assert shown is not None
    return shown.astype(np.float64)


def _real_files() -> list[Path]:
    named = os.environ.get("SCANSIDE_DATA")
    return sorted((Path(named) / "dicom").iterdir()) if named else []


@pytest.mark.real
@pytest.mark.parametrize("path", _real_files(), ids=lambda path: path.name)
def test_real_files(tmp_path: Path, path: Path) -> None:
    """Each file of the folder, frame by frame: the same pixels, or a place in a list above. Lossy JPEG within 1."""
    ours, refused, syntax = None, None, ""
    try:
        dataset = open_dicom(path)
        syntax = str(dataset.file_meta.get("TransferSyntaxUID") or "")
        checked(dataset)
        ours = _ours(path)
    except CannotTriage as error:
        refused = error.reason
    if refused is Reason.no_pixel_data:
        return
    if refused is not None:
        assert refused == {**_THEIRS_ALONE, **_NOBODYS}.get(path.name)
        theirs = decoded(path, tmp_path, syntax)
        assert (theirs is None) == (path.name in _NOBODYS)
        return
    assert ours is not None
    if syntax in _OPEN_JPH:
        theirs = np.stack([imagecodecs.htj2k_decode(frame) for frame in generate_frames(dataset.PixelData)])
    elif path.name in _TWINS:
        theirs = _ours(path.with_name(_TWINS[path.name]))
    else:
        theirs = decoded(path, tmp_path, syntax, *_OPTIONS.get(path.name, ()))
    if path.name in _OURS_ALONE:
        assert theirs is None
        return
    assert theirs is not None
    assert ours.shape == theirs.shape
    difference = np.abs(ours.astype(float) - theirs)
    if syntax in _OPEN_JPH:
        difference = np.minimum(difference, 256 - difference)  # where a lossy value is over 255, it begins again at 0
    assert difference.max() <= (1 if syntax in _LOSSY else 0)
