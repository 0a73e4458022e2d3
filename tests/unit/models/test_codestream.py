"""Sizes in compressed frames, and frames that pydicom's plugins leave to us."""

from __future__ import annotations

import zlib

import imagecodecs
import numpy as np
import pytest

from models.codestream import DECODED_HERE, FrameLayout, decode_frame, stated_size
from tests.dicom_factory import chest_pixels

GREY = FrameLayout(64, 48, 1, 16, "MONOCHROME2")
PIXELS = chest_pixels(64, 48)
EXTENDED, LOSSLESS, JPEG_XL = (f"1.2.840.10008.1.2.4.{number}" for number in (51, 70, 110))
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"


@pytest.mark.parametrize("codec", ["jpeg8", "jpegls", "jpeg2k"])
def test_the_size_stands_in_the_codestream(codec: str) -> None:
    """JPEG, JPEG-LS and JPEG 2000 headers, without decoding."""
    pixels = PIXELS.astype(np.uint8)
    encoded = getattr(imagecodecs, f"{codec}_encode")(pixels)
    assert stated_size(encoded) == (64, 48, 1)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff" + bytes(99), bytes(500)])
def test_no_size_in_nonsense(content: bytes) -> None:
    """Torn and foreign bytes have no size and raise nothing."""
    assert stated_size(content) is None


def test_twelve_bit_jpeg() -> None:
    """JPEG Extended with 12 bits comes back with its full precision."""
    encoded = imagecodecs.jpeg8_encode(PIXELS, level=100, bitspersample=12)
    decoded = decode_frame(bytes(encoded), EXTENDED, GREY)
    assert decoded.dtype == np.uint16
    assert decoded.max() > 2000
    assert np.abs(decoded.astype(int) - PIXELS).max() < 8


def test_lossless_jpeg_and_jpeg_xl_are_exact() -> None:
    """16 bit through both, value by value."""
    lossless = imagecodecs.ljpeg_encode(PIXELS, bitspersample=16)
    assert np.array_equal(decode_frame(bytes(lossless), LOSSLESS, GREY), PIXELS)
    jpeg_xl = imagecodecs.jpegxl_encode(PIXELS, lossless=True)
    assert np.array_equal(decode_frame(bytes(jpeg_xl), JPEG_XL, GREY), PIXELS)


def test_colours_without_a_marker_are_what_the_header_says() -> None:
    """RGB in a bare JPEG stays RGB; libjpeg alone would take it for YCbCr."""
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = 200
    encoded = imagecodecs.jpeg8_encode(pixels, level=100, colorspace="YCBCR", outcolorspace="YCBCR")
    assert encoded[2:4] == b"\xff\xe0"
    bare = encoded[:2] + encoded[4 + int.from_bytes(encoded[4:6], "big") :]
    layout = FrameLayout(16, 16, 3, 8, "RGB")
    assert decode_frame(bytes(bare), EXTENDED, layout)[8, 8].tolist() == pytest.approx([200, 0, 0], abs=3)


def test_a_deflated_frame() -> None:
    """Raw deflate around native values; more or fewer bytes than announced are refused."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    frame = deflater.compress(PIXELS.tobytes()) + deflater.flush()
    assert np.array_equal(decode_frame(frame, DEFLATED_FRAME, GREY), PIXELS)
    for rows in (32, 128):
        with pytest.raises(ValueError, match="deflated frame"):
            decode_frame(frame, DEFLATED_FRAME, FrameLayout(rows, 48, 1, 16, "MONOCHROME2"))


def test_what_is_not_decoded_here_is_said() -> None:
    """RLE belongs to pydicom."""
    assert "1.2.840.10008.1.2.5" not in DECODED_HERE
    with pytest.raises(KeyError):
        decode_frame(b"", "1.2.840.10008.1.2.5", GREY)
