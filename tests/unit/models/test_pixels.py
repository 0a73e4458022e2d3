"""Files nobody vouches for: a grey image or a named reason, never an exception of a decoder."""

from __future__ import annotations

import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from models.errors import CannotTriage
from models.pixels import PixelLimits, grey_image, open_dicom
from models.reasons import Reason
from tests.dicom_factory import as_bytes, as_file, chest_pixels, chest_radiograph, compressed

SMALL = chest_pixels(48, 64)


def _radiograph(**overrides: Any) -> Dataset:
    return chest_radiograph(pixels=SMALL, WindowCenter=None, WindowWidth=None, **overrides)


def _reason(path: Path, limits: PixelLimits = PixelLimits()) -> Reason:  # noqa: B008
    with pytest.raises(CannotTriage) as caught:
        grey_image(open_dicom(path), limits)
    return caught.value.reason


@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_lossless_syntaxes_give_the_same_pixels(tmp_path: Path, syntax: str | None) -> None:
    """Native, RLE, JPEG 2000 and JPEG-LS, read back from a file."""
    dataset = _radiograph()
    path = as_file(compressed(dataset, syntax) if syntax else dataset, tmp_path / "a.dcm")
    grey = grey_image(open_dicom(path))
    assert grey.dtype == np.float32
    assert np.array_equal(grey, SMALL.astype(np.float32))


def test_a_bare_data_set_is_read(tmp_path: Path) -> None:
    """No preamble, no file meta, as some exports write it."""
    content = as_bytes(_radiograph())
    meta_length = struct.unpack("<I", content[140:144])[0]
    path = tmp_path / "bare"
    path.write_bytes(content[144 + meta_length :])
    assert grey_image(open_dicom(path)).shape == (48, 64)


def test_colour_becomes_grey(tmp_path: Path) -> None:
    """RGB is weighed by luminance."""
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4] = (10, 200, 30)
    path = as_file(chest_radiograph(pixels=colours, bits=8), tmp_path / "rgb.dcm")
    grey = grey_image(open_dicom(path))
    assert grey[0, 0] == pytest.approx(0.299 * 10 + 0.587 * 200 + 0.114 * 30)


def test_signed_values_keep_their_order(tmp_path: Path) -> None:
    """Two's complement, brighter = denser."""
    signed = SMALL.astype(np.int16) - 2048
    path = as_file(chest_radiograph(pixels=signed, WindowCenter=None, WindowWidth=None), tmp_path / "s.dcm")
    assert np.array_equal(grey_image(open_dicom(path)), signed.astype(np.float32))


@pytest.mark.parametrize(
    "content", [b"", b"hello", bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(300), bytes(128) + b"DICM"]
)
def test_what_is_not_dicom(tmp_path: Path, content: bytes) -> None:
    """Empty, text, zeros, a picture, a prefix with nothing behind it."""
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(CannotTriage) as caught:
        open_dicom(path)
    assert caught.value.reason is Reason.not_dicom


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    """Neither is DICOM."""
    for path in (tmp_path, tmp_path / "gone"):
        with pytest.raises(CannotTriage):
            open_dicom(path)


def test_without_pixels(tmp_path: Path) -> None:
    """The header can be read alone, and an image that came without its pixels says so."""
    path = as_file(_radiograph(), tmp_path / "a.dcm")
    assert "PixelData" not in open_dicom(path, with_pixels=False)
    assert _reason(as_file(_radiograph(PixelData=None), tmp_path / "b.dcm")) is Reason.no_pixel_data


def test_a_header_that_claims_100000_x_100000(tmp_path: Path) -> None:
    """Refused by arithmetic, without taking the memory."""
    path = as_file(_radiograph(Rows=50000, Columns=50000), tmp_path / "a.dcm")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert _reason(path) is Reason.too_large
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_limits_are_exact(tmp_path: Path) -> None:
    """One pixel, or one byte, over the limit."""
    path = as_file(_radiograph(), tmp_path / "a.dcm")
    assert grey_image(open_dicom(path), PixelLimits(48 * 64, 48 * 64 * 2)).shape == (48, 64)
    assert _reason(path, PixelLimits(max_pixels=48 * 64 - 1)) is Reason.too_large
    assert _reason(path, PixelLimits(max_decoded_bytes=48 * 64 * 2 - 1)) is Reason.too_large


def test_a_deflate_bomb(tmp_path: Path) -> None:
    """A small deflated file with a large data set is refused while it is being counted."""
    dataset = chest_radiograph(pixels=np.zeros((1000, 1000), np.uint16))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = as_file(dataset, tmp_path / "bomb.dcm")
    assert path.stat().st_size < 20_000
    with pytest.raises(CannotTriage) as caught:
        open_dicom(path, max_inflated_bytes=1_000_000)
    assert caught.value.reason is Reason.too_large
    assert open_dicom(path, max_inflated_bytes=3_000_000).Rows == 1000


def test_a_codestream_larger_than_its_header(tmp_path: Path) -> None:
    """JPEG 2000 that claims another size than Rows and Columns is not given to the decoder."""
    dataset = compressed(_radiograph(), JPEG2000Lossless)
    start = dataset.PixelData.find(b"\xff\x4f\xff\x51")
    lie = struct.pack(">I", 3_000_000)
    dataset.PixelData = dataset.PixelData[: start + 8] + lie + dataset.PixelData[start + 12 :]
    assert _reason(as_file(dataset, tmp_path / "a.dcm")) is Reason.unreadable_pixels


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        ({"NumberOfFrames": 2}, Reason.multi_frame),
        ({"Rows": None}, Reason.unreadable_pixels),
        ({"Rows": 49}, Reason.unreadable_pixels),
        ({"BitsAllocated": 12}, Reason.unreadable_pixels),
        ({"PhotometricInterpretation": None}, Reason.unreadable_pixels),
        ({"PhotometricInterpretation": "HSV"}, Reason.unreadable_pixels),
        ({"SamplesPerPixel": 4}, Reason.unreadable_pixels),
        ({"PixelRepresentation": 7}, Reason.unreadable_pixels),
    ],
)
def test_headers_that_do_not_fit(tmp_path: Path, overrides: dict[str, Any], reason: Reason) -> None:
    """Each lie has its reason."""
    assert _reason(as_file(_radiograph(**overrides), tmp_path / "a.dcm")) is reason


def test_an_unknown_transfer_syntax(tmp_path: Path) -> None:
    """MPEG-4 is no still image."""
    dataset = compressed(_radiograph(), RLELossless)
    dataset.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    assert _reason(as_file(dataset, tmp_path / "a.dcm")) is Reason.unsupported_transfer_syntax


def test_a_blank_image(tmp_path: Path) -> None:
    """No contrast, nothing to say."""
    path = as_file(chest_radiograph(pixels=np.full((9, 9), 77, np.uint16)), tmp_path / "a.dcm")
    assert _reason(path) is Reason.blank_image


@settings(max_examples=60)
@given(cut=st.integers(0, 6000), flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=8))
def test_torn_and_flipped_bytes_give_an_image_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flips: list[tuple[int, int]]
) -> None:
    """Whatever the damage: pixels or CannotTriage, nothing else."""
    content = bytearray(as_bytes(compressed(_radiograph(), RLELossless)))
    for where, mask in flips:
        content[where % len(content)] ^= mask
    path = tmp_path_factory.mktemp("damaged") / "a.dcm"
    path.write_bytes(content[: len(content) - cut])
    try:
        grey = grey_image(open_dicom(path), PixelLimits(1_000_000, 1 << 24))
    except CannotTriage as refused:
        assert refused.reason in Reason
    else:
        assert np.isfinite(grey).all()
